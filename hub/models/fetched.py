"""What was fetched, when and how surely: a record beside each file, and the digests it is told by."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fetched:
    """How a file came here; kept beside it as <file>.fetched.json.

    verified: "catalog" (its published sha256), "server" (the digest the server names) or "size" (no digest known).
    """

    path: str
    url: str
    bytes: int
    sha256: str
    verified: str


def recorded(path: Path) -> Fetched | None:
    """How a file came here, None when it is absent or was not fetched by us."""
    try:
        facts = json.loads(record_path(path).read_text("utf-8"))
        return Fetched(**facts) if path.is_file() else None
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: Path, facts: Fetched) -> None:
    """Keep how `path` came here, beside it."""
    record_path(path).write_text(json.dumps(asdict(facts), indent=1) + "\n", "utf-8")


def record_path(path: Path) -> Path:
    """Where the record of a file lies."""
    return path.with_name(path.name + ".fetched.json")


def sha256_of(path: Path) -> str:
    """Hash of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_hash(path: Path) -> str:
    """The id git gives this content, which Hugging Face sends as the ETag of small files."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
