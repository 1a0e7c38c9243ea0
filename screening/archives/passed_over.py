"""What a visit passes over, counted and told: folders that cannot be read, and files that are being written."""

from dataclasses import dataclass, field


@dataclass
class Count:
    number: int = 0
    example: str = ""

    def add(self, path: str) -> None:
        self.number += 1
        self.example = self.example or path


@dataclass
class PassedOver:
    not_read: Count = field(default_factory=Count)
    """Folders, and files that a folder does not tell about."""
    not_settled: Count = field(default_factory=Count)

    def sentences(self) -> str | None:
        """What is wrong and what helps, for the archive's `problem`; None where nothing was passed over."""
        told = []
        if some := self.not_read.number:
            what = "folder or file" if some == 1 else "folders or files"
            told.append(f"{some:,} {what} cannot be read, such as {self.not_read.example}; check their rights.")
        if some := self.not_settled.number:
            what, them = ("file was", "it") if some == 1 else ("files were", "them")
            example = self.not_settled.example
            told.append(
                f"{some:,} {what} written within the last minute, such as {example}; the next visit takes {them}."
            )
        return " ".join(told) or None
