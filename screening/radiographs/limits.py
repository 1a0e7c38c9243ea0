"""The limits under which untrusted bytes are decoded and unpacked. Values only; they are enforced elsewhere."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class DecodeLimits:
    """Limits of one decoding child."""

    max_file_bytes: int = 256 * MIB
    max_pixels: int = 100_000_000
    """Rows times columns, checked against the header before anything is decoded."""
    memory_bytes: int = 2 * GIB
    """Address space of the child. A picture of 100 million pixels takes up to 0.9 GB here, whatever its format."""
    seconds: float = 30.0
    """Wall-clock time for one file, from sending its bytes to having its pictures."""
    files_per_child: int = 2000
    """A child is replaced after so many files, so that a leak in a decoder cannot grow without end."""

    def __post_init__(self) -> None:
        if min(self.max_file_bytes, self.max_pixels, self.files_per_child) < 1 or self.seconds <= 0:
            raise ValueError("decode limits must be positive; leave them out to get the defaults")
        if self.memory_bytes < 512 * MIB:
            raise ValueError("a decoding child needs at least 512 MiB of memory; raise memory_bytes")


@dataclass(frozen=True)
class ContainerLimits:
    """Limits of one zip or tar file and of the child that unpacks it."""

    max_members: int = 20_000
    max_member_bytes: int = 256 * MIB
    max_total_bytes: int = 64 * GIB
    """Of everything unpacked, together."""
    max_ratio: int = 200
    """Unpacked to packed size. Radiographs rarely pass 10; a mostly black uncompressed one may reach 100."""
    ratio_free_bytes: int = 16 * MIB
    """Below so many unpacked bytes the ratio is not looked at: small empty pictures pack very well."""
    memory_bytes: int = GIB
    seconds_per_member: float = 60.0
    """How long the child may take until its next member arrives."""

    def __post_init__(self) -> None:
        if min(self.max_members, self.max_member_bytes, self.max_total_bytes, self.max_ratio) < 1:
            raise ValueError("container limits must be positive; leave them out to get the defaults")
