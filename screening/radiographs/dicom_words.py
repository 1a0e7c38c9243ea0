"""The few words that leave a DICOM header: body part, view, laterality and the names of other modalities.

Free text can name a person, so a value leaves only as a word from these lists, or not at all.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

RADIOGRAPHS = frozenset({"CR", "DX", "RG"})

OTHER_MODALITIES = {
    "CT": "a CT image",
    "MR": "a magnetic resonance image",
    "US": "an ultrasound image",
    "NM": "a nuclear medicine image",
    "PT": "a PET image",
    "MG": "a mammogram",
    "IO": "a dental (intra-oral) radiograph",
    "PX": "a panoramic dental radiograph",
    "XA": "an angiogram",
    "RF": "a fluoroscopy recording",
    "BMD": "a bone densitometry result",
    "ES": "an endoscopy picture",
    "XC": "a photograph",
    "GM": "a microscopy picture",
    "SM": "a slide microscopy picture",
    "OP": "an eye photograph",
    "OPT": "an eye tomogram",
    "OT": "a picture of unstated origin",
    "SC": "a screen capture",
    "SEG": "a segmentation, made from other images",
    "RTDOSE": "a radiotherapy dose distribution",
    "RTPLAN": "a radiotherapy plan",
    "RTSTRUCT": "a set of radiotherapy contours",
    "RTIMAGE": "a radiotherapy image",
    "SR": "a structured report",
    "DOC": "a document",
    "PR": "a presentation state, which only says how to show an image",
    "KO": "a list of key images",
    "REG": "a registration between images",
    "ECG": "an electrocardiogram",
    "AU": "a sound recording",
}

# Longer words first where one holds the other ("forearm" holds "arm", "lower leg" holds "leg").
_BODY_PARTS = (
    ("FOREARM", "forearm"),
    ("RADIUS", "forearm"),
    ("ULNA", "forearm"),
    ("UPPERARM", "upper arm"),
    ("HUMERUS", "upper arm"),
    ("FINGER", "finger"),
    ("THUMB", "finger"),
    ("HAND", "hand"),
    ("SCAPHOID", "wrist"),
    ("WRIST", "wrist"),
    ("ELBOW", "elbow"),
    ("SHOULDER", "shoulder"),
    ("CLAVICLE", "clavicle"),
    ("SCAPULA", "scapula"),
    ("TIBIA", "leg"),
    ("FIBULA", "leg"),
    ("LOWERLEG", "leg"),
    ("FEMUR", "thigh"),
    ("THIGH", "thigh"),
    ("UPPERLEG", "thigh"),
    ("PATELLA", "knee"),
    ("KNEE", "knee"),
    ("ANKLE", "ankle"),
    ("CALCANEUS", "foot"),
    ("HEEL", "foot"),
    ("FOOT", "foot"),
    ("TOE", "foot"),
    ("PELVIS", "pelvis"),
    ("HIP", "hip"),
    ("SACRUM", "spine"),
    ("COCCYX", "spine"),
    ("SPINE", "spine"),
    ("SKULL", "skull"),
    ("HEAD", "skull"),
    ("JAW", "jaw"),
    ("MANDIBLE", "jaw"),
    ("STERNUM", "chest"),
    ("RIB", "chest"),
    ("THORAX", "chest"),
    ("CHEST", "chest"),
    ("ABDOMEN", "abdomen"),
    ("EXTREMITY", "extremity"),
    ("LEG", "leg"),
    ("ARM", "arm"),
)

FILLS_THE_FILM = frozenset({"chest", "abdomen", "pelvis", "hip", "spine"})
"""Body parts that leave no air at the rim of a radiograph."""

_VIEWS = {
    "frontal": {"AP", "PA", "DP", "PD", "FRONTAL", "ANTEROPOSTERIOR", "POSTEROANTERIOR", "DORSOPLANTAR", "PALMAR"},
    "lateral": {"LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "ML", "LM", "MEDIOLATERAL", "LATEROMEDIAL"},
    "oblique": {"LAO", "RAO", "LPO", "RPO", "OBL", "OBLIQUE", "RLO", "LLO"},
    "axial": {"AX", "AXIAL", "SUNRISE", "SKYLINE", "TANGENTIAL"},
}

_LATERALITIES = {"L": "left", "R": "right", "B": "both"}


def body_part(dataset: "Dataset") -> str:
    """One word for the examined body part, empty where the header has none that is in the list."""
    for text in (text_of(dataset, "BodyPartExamined"), _meaning(dataset, "AnatomicRegionSequence")):
        letters = re.sub(r"[^A-Z]", "", text.upper())
        for sign, word in _BODY_PARTS:
            if sign in letters:
                return word
    return ""


def view(dataset: "Dataset") -> str:
    """One of "frontal", "lateral", "oblique" and "axial", or empty."""
    for text in (text_of(dataset, "ViewPosition"), _meaning(dataset, "ViewCodeSequence")):
        words = set(re.split(r"[^A-Z]+", text.upper().replace("-", "")))
        for word in ("oblique", "axial", "lateral", "frontal"):
            if words & _VIEWS[word]:
                return word
    return ""


def laterality(dataset: "Dataset") -> str:
    """One of "left", "right" and "both", or empty."""
    for keyword in ("ImageLaterality", "Laterality"):
        found = _LATERALITIES.get(text_of(dataset, keyword).strip().upper())
        if found:
            return found
    return ""


def study_uid(dataset: "Dataset") -> str:
    """The raw identifier of the study, empty where it is missing or is not of a UID's form."""
    found = text_of(dataset, "StudyInstanceUID").strip()
    return found if re.fullmatch(r"[0-9.]{1,64}", found) else ""


def name_of_modality(code: str) -> str:
    """What a modality's code stands for, in words; an unknown code is quoted only where it has the form of a code."""
    if code in OTHER_MODALITIES:
        return OTHER_MODALITIES[code]
    return (
        f'an image of the modality "{code}"' if re.fullmatch(r"[A-Z0-9]{1,10}", code) else "an image without modality"
    )


def text_of(dataset: "Dataset", keyword: str) -> str:
    """The text of an element, empty where it is missing, odd or several: what pydicom raises depends on the oddity."""
    try:
        value = dataset.get(keyword)
    except MemoryError:
        raise
    except Exception:
        return ""
    return value if isinstance(value, str) else ""


def _meaning(dataset: "Dataset", keyword: str) -> str:
    try:
        sequence = dataset.get(keyword)
        return text_of(sequence[0], "CodeMeaning") if sequence else ""
    except MemoryError:
        raise
    except Exception:
        return ""
