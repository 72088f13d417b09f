"""Statements on frames that were looked at: what was seen in them, and what is kept of their pictures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.archive import EmbeddingUse, ScannedFile, SeenFrame, Stored, Usage
from hub.store import elements as rows_of_elements
from hub.store.codec import detections_of, detections_row
from hub.store.collected import element_rows
from hub.store.statements import bump_revision, chunks, insert, insert_new
from hub.store.tables import campaigns, elements, embedders, frames, held, samples, scanned_files, seeds, versions
from hub.types import Detections, Frame, Observation

_NAME = 200

_selected = sa.or_(
    sa.select(samples.c.position).where(samples.c.frame_id == frames.c.id).exists(),
    sa.select(held.c.position).where(held.c.frame_id == frames.c.id).exists(),
)


def add(connection: sa.Connection, some: Sequence[SeenFrame], seen: Sequence[Observation]) -> None:
    """Frames and what was seen in them. Of a known one only what was not known is added: who looked, and what is
    kept."""
    drop_outdated(connection, seen)
    add_frames(connection, some, seen)
    insert_new(
        connection, elements, [row for each in sorted(seen, key=lambda s: s.frame.id) for row in element_rows(each)]
    )


def drop_outdated(connection: sa.Connection, seen: Sequence[Observation]) -> None:
    """Delete crops of frames that another detector looks at now, where they show none of its detections: rows go by
    these, so their vectors would be taken for those of other things."""
    looked = {each.frame.id: each for each in seen if each.detector}
    changed: list[str] = []
    for some in chunks(sorted(looked)):
        by_whom = sa.select(frames.c.id, frames.c.detector).where(frames.c.id.in_(some), frames.c.detector != "")
        changed += [row.id for row in connection.execute(by_whom) if row.detector != looked[row.id].detector[:_NAME]]
    c = elements.c
    outdated: list[int] = []
    for some in chunks(changed):
        # What was brought in under another camera's name is no detection.
        crops = sa.select(c.id, c.frame_id, c.row, c.box).join(frames, frames.c.id == c.frame_id)
        ours = crops.where(c.frame_id.in_(some), c.row > 0, c.camera == frames.c.camera)
        outdated += [row.id for row in connection.execute(ours) if not _shows(row, looked[row.frame_id])]
    rows_of_elements.remove(connection, sorted(outdated))


def _shows(crop: Any, seen: Observation) -> bool:
    """Whether a crop is of the detection that its row stands for."""
    return crop.row <= len(seen.detections) and list(crop.box) == [round(v, 2) for v in seen.box(crop.row)]


def add_frames(connection: sa.Connection, some: Sequence[SeenFrame], seen: Sequence[Observation]) -> None:
    """The same without the vectors."""
    looked = {each.frame.id: each for each in seen}
    rows = {each.id: _row(each, looked.get(each.id)) for each in some}
    for each in seen:
        if each.frame.id not in rows:
            frame = SeenFrame(each.frame.id, each.frame.camera, each.frame.taken_at, each.size_wh)
            rows[frame.id] = _row(frame, each)
    if not rows:
        return
    statement = insert(connection, frames)
    new, old = statement.excluded, frames.c
    looked_now = new.detector != ""
    statement = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "detections": sa.case((looked_now, new.detections), else_=old.detections),
            "detector": sa.case((looked_now, new.detector), else_=old.detector),
            "source": sa.case((new.source != "", new.source), else_=old.source),
            "picture_bytes": sa.case((new.picture_bytes > 0, new.picture_bytes), else_=old.picture_bytes),
            "thumbnail_bytes": sa.case((new.thumbnail_bytes > 0, new.thumbnail_bytes), else_=old.thumbnail_bytes),
        },
    )
    connection.execute(statement, [rows[key] for key in sorted(rows)])


def _row(of: SeenFrame, seen: Observation | None) -> dict[str, Any]:
    looked = seen is not None and seen.detector != ""
    return {
        "id": of.id,
        "camera": of.camera,
        "taken_at": of.taken_at,
        "width": of.size_wh[0],
        "height": of.size_wh[1],
        "detections": detections_row(seen.detections) if seen is not None and looked else None,
        "detector": seen.detector[:_NAME] if seen is not None else "",
        "source": of.source,
        "picture_bytes": of.picture_bytes,
        "thumbnail_bytes": of.thumbnail_bytes,
    }


def known(connection: sa.Connection, ids: Sequence[str]) -> dict[str, SeenFrame]:
    """By id."""
    found: dict[str, SeenFrame] = {}
    for some in chunks(ids):
        found |= {each.id: each for each in _frames(connection, _plain().where(frames.c.id.in_(some)))}
    return found


def observations(
    connection: sa.Connection,
    embedding_version: str,
    since: float,
    until: float,
    cameras: Sequence[str],
    after: tuple[float, str] | None,
    limit: int,
) -> list[Observation]:
    """Oldest first."""
    c = frames.c
    wanted = sa.select(frames).where(c.taken_at >= since).order_by(c.taken_at, c.id).limit(limit)
    if until != float("inf"):
        wanted = wanted.where(c.taken_at < until)
    if cameras:
        wanted = wanted.where(c.camera.in_(list(cameras)))
    if after is not None:
        at, frame_id = after
        wanted = wanted.where(c.taken_at >= at, sa.or_(c.taken_at > at, c.id > frame_id))
    return _observed(connection, list(connection.execute(wanted).mappings()), embedding_version)


def recall(connection: sa.Connection, frame_ids: Sequence[str], embedding_version: str) -> dict[str, Observation]:
    """By id."""
    found: list[sa.RowMapping] = []
    for some in chunks(frame_ids):
        found += connection.execute(sa.select(frames).where(frames.c.id.in_(some))).mappings()
    return {each.frame.id: each for each in _observed(connection, found, embedding_version)}


def _observed(connection: sa.Connection, found: Sequence[sa.RowMapping], version: str) -> list[Observation]:
    vectors = rows_of_elements.vectors_of_frames(connection, [row["id"] for row in found], version)
    seen = [_detected(row) for row in found]
    bare = [row["id"] for row in found if row["detections"] is None and len(vectors.get(row["id"], ())) > 1]
    if bare:
        crops = rows_of_elements.of_frames(connection, bare, version)
        seen = [
            _crops_of(crops[row["id"]]) if row["id"] in crops else some for row, some in zip(found, seen, strict=True)
        ]
    return [_observation(row, some, vectors.get(row["id"], ()), version) for row, some in zip(found, seen, strict=True)]


def _detected(row: sa.RowMapping) -> Detections:
    return detections_of(row["detections"]) if row["detections"] else Detections.empty()


def _crops_of(stored: Sequence[Stored]) -> Detections:
    """Crops that were stored without their frame's detections are its detections."""
    crops = [each.element for each in stored if each.element.row]
    return detections_of(
        {
            "xyxy": [list(each.box) for each in crops],
            "confidence": [each.confidence for each in crops],
            "label": [each.label for each in crops],
        }
    )


def _observation(
    row: sa.RowMapping, found: Detections, stored: Sequence[tuple[int, NDArray[np.float32]]], version: str
) -> Observation:
    """As it was. A row that is missing, as one that was not finite, is a zero vector: rows keep their places."""
    frame = Frame(row["camera"], 0, row["taken_at"], b"", digest=row["id"])
    vectors = np.zeros((0, 0), np.float32)
    if stored:
        vectors = np.zeros((min(stored[-1][0], len(found)) + 1, len(stored[0][1])), np.float32)
        for at, vector in stored:
            if at < len(vectors):
                vectors[at] = vector
    return Observation(
        frame, (row["width"], row["height"]), found, vectors, version if len(vectors) else None, row["detector"]
    )


def first_and_last(connection: sa.Connection, cameras: Sequence[str]) -> tuple[float, float] | None:
    """Times."""
    c = frames.c
    ours = c.camera.in_(list(cameras)) if cameras else sa.true()
    ends = [
        connection.scalar(sa.select(c.taken_at).where(ours).order_by(order).limit(1))
        for order in (c.taken_at, c.taken_at.desc())
    ]
    return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def cameras(connection: sa.Connection, sought: Sequence[str]) -> set[str]:
    """Of frames, and of elements where some sought are of no frame: what was imported may have none."""
    found = set(connection.scalars(sa.select(frames.c.camera).distinct()))
    if not found.issuperset(sought):
        found |= set(connection.scalars(sa.select(elements.c.camera).distinct()))
    return found


def oldest_pictures(connection: sa.Connection, limit: int) -> list[SeenFrame]:
    """Whose picture is kept."""
    return _frames(connection, _plain().where(sa.text("picture_bytes > 0")).order_by(frames.c.taken_at).limit(limit))


def oldest_thumbnails(connection: sa.Connection, limit: int) -> list[SeenFrame]:
    """Of which only a thumbnail is kept."""
    wanted = _plain().where(sa.text("thumbnail_bytes > 0 AND picture_bytes = 0"))
    return _frames(connection, wanted.order_by(frames.c.taken_at).limit(limit))


def keep(connection: sa.Connection, sizes: Mapping[str, tuple[int, int]]) -> None:
    """Record what is kept."""
    if sizes:
        statement = frames.update().where(frames.c.id == sa.bindparam("frame"))
        connection.execute(
            statement.values(picture_bytes=sa.bindparam("picture"), thumbnail_bytes=sa.bindparam("thumbnail")),
            [
                {"frame": frame, "picture": picture, "thumbnail": thumbnail}
                for frame, (picture, thumbnail) in sorted(sizes.items())
            ],
        )


def expired(connection: sa.Connection, before: float, limit: int) -> list[SeenFrame]:
    """Of which something is kept."""
    c = frames.c
    kept = sa.or_(c.picture_bytes > 0, c.thumbnail_bytes > 0)
    return _frames(
        connection,
        _plain().where(c.taken_at < before, kept, ~_selected).order_by(c.taken_at).limit(limit),
    )


def forget_scanned(connection: sa.Connection, limit: int) -> int:
    """Of files, of which nothing is left."""
    c = frames.c
    embedded = sa.select(elements.c.id).where(elements.c.frame_id == c.id).exists()
    empty = sa.select(c.id).where(c.source != "", c.picture_bytes == 0, c.thumbnail_bytes == 0, ~_selected, ~embedded)
    return connection.execute(frames.delete().where(c.id.in_(empty.limit(limit)))).rowcount


def forget(connection: sa.Connection, before: float, limit: int) -> int:
    """Of which nothing is kept."""
    c = frames.c
    polled = sa.text("source = ''")
    embedded = sa.select(elements.c.id).where(elements.c.frame_id == c.id).exists()
    old = sa.select(c.id).where(
        polled, c.taken_at < before, c.picture_bytes == 0, c.thumbnail_bytes == 0, ~_selected, ~embedded
    )
    oldest = old.order_by(c.taken_at).limit(limit)
    return connection.execute(frames.delete().where(c.id.in_(oldest))).rowcount


def usage(connection: sa.Connection) -> Usage:
    """How much is kept."""
    c = frames.c
    pictures = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(c.picture_bytes), 0)).where(
            sa.text("picture_bytes > 0")
        )
    ).one()
    thumbnails = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(c.thumbnail_bytes), 0)).where(
            sa.text("thumbnail_bytes > 0")
        )
    ).one()
    return Usage(
        elements=connection.scalar(sa.select(sa.func.count()).select_from(elements)) or 0,
        frames=connection.scalar(sa.select(sa.func.count()).select_from(frames)) or 0,
        pictures=pictures[0],
        picture_bytes=int(pictures[1]),
        thumbnails=thumbnails[0],
        thumbnail_bytes=int(thumbnails[1]),
        database_bytes=_database_bytes(connection),
    )


def _database_bytes(connection: sa.Connection) -> int:
    if connection.dialect.name != "sqlite":
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
    page, pages, free = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
        for name in ("page_size", "page_count", "freelist_count")
    )
    return page * (pages - free)


def _plain() -> sa.Select[Any]:
    """Without the detections, which may be long."""
    return sa.select(*(column for column in frames.c if column is not frames.c.detections))


def _frames(connection: sa.Connection, wanted: sa.Select[Any]) -> list[SeenFrame]:
    return [
        SeenFrame(
            row["id"],
            row["camera"],
            row["taken_at"],
            (row["width"], row["height"]),
            row["source"],
            row["picture_bytes"],
            row["thumbnail_bytes"],
        )
        for row in connection.execute(wanted).mappings()
    ]


# ── scans ────────────────────────────────────────────────────────────────────────────────────────────


def scanned(connection: sa.Connection, ids: Iterable[str]) -> dict[str, ScannedFile]:
    """By id."""
    found: dict[str, ScannedFile] = {}
    for some in chunks(sorted(set(ids))):
        rows = connection.execute(sa.select(scanned_files).where(scanned_files.c.id.in_(some)))
        found |= {row.id: ScannedFile(row.id, row.source, tuple(row.frames), row.scanned_at) for row in rows}
    return found


def add_scanned(connection: sa.Connection, files: Sequence[ScannedFile]) -> None:
    """Remember files."""
    rows = [
        {"id": each.id, "source": each.source, "frames": list(each.frames), "scanned_at": each.scanned_at}
        for each in files
    ]
    insert_new(connection, scanned_files, sorted(rows, key=lambda row: str(row["id"])))


# ── embedding versions ───────────────────────────────────────────────────────────────────────────────


def record_embedder(connection: sa.Connection, version: str, name: str, dim: int) -> None:
    """Remember a name."""
    statement = insert(connection, embedders).values(version=version, name=name, dim=dim)
    new = {"name": statement.excluded.name, "dim": statement.excluded.dim}
    connection.execute(statement.on_conflict_do_update(index_elements=["version"], set_=new))


def embedding_versions(connection: sa.Connection) -> list[EmbeddingUse]:
    """What uses each, newest elements first."""
    of_elements = {
        version: (n, *_times(connection, version)) for version, n in _by_version(connection, elements).items()
    }
    of_seeds, of_samples = _by_version(connection, seeds), _by_version(connection, samples)
    newest = sa.select(campaigns.c.name, versions.c.embedding_version).join(
        versions, sa.and_(versions.c.campaign_id == campaigns.c.id, versions.c.number == campaigns.c.version)
    )
    by_campaign: dict[str, list[str]] = {}
    for name, version in connection.execute(
        newest.where(versions.c.embedding_version.is_not(None)).order_by(campaigns.c.name)
    ):
        by_campaign.setdefault(version, []).append(name)
    named = {row.version: row for row in connection.execute(sa.select(embedders))}
    uses = [
        EmbeddingUse(
            version=version,
            embedder=named[version].name if version in named else "",
            dim=named[version].dim if version in named else _dim(connection, version),
            elements=of_elements.get(version, (0, 0.0, 0.0))[0],
            seeds=of_seeds.get(version, 0),
            samples=of_samples.get(version, 0),
            campaigns=tuple(by_campaign.get(version, ())),
            first_at=of_elements.get(version, (0, 0.0, 0.0))[1],
            last_at=of_elements.get(version, (0, 0.0, 0.0))[2],
        )
        for version in sorted({*of_elements, *of_seeds, *of_samples, *by_campaign, *named})
    ]
    return sorted(uses, key=lambda use: -use.last_at)


def _times(connection: sa.Connection, version: str) -> tuple[float, float]:
    """Of the first and the last element, by either end of the index on time."""
    c = elements.c
    first, last = (
        connection.scalar(sa.select(c.taken_at).where(c.embedding_version == version).order_by(order).limit(1))
        for order in (c.taken_at, c.taken_at.desc())
    )
    return first or 0.0, last or 0.0


def _by_version(connection: sa.Connection, table: sa.Table) -> dict[str, int]:
    column = table.c.embedding_version
    counted = sa.select(column, sa.func.count()).where(column.is_not(None)).group_by(column)
    return {str(version): int(n) for version, n in connection.execute(counted)}


def _dim(connection: sa.Connection, version: str) -> int:
    vector = connection.scalar(sa.select(elements.c.vector).where(elements.c.embedding_version == version).limit(1))
    return len(vector) // 2 if vector is not None else 0


def chosen(connection: sa.Connection) -> str:
    """What was chosen last, "" for none."""
    c = embedders.c
    return connection.scalar(sa.select(c.loaded_as).where(c.chosen_at > 0).order_by(c.chosen_at.desc()).limit(1)) or ""


def choose(connection: sa.Connection, version: str, loaded_as: str, now: float) -> None:
    """An embedder that was recorded; later than any chosen before, whatever the clock says."""
    latest = connection.scalar(sa.select(sa.func.max(embedders.c.chosen_at))) or 0.0
    ours = embedders.update().where(embedders.c.version == version)
    connection.execute(ours.values(loaded_as=loaded_as, chosen_at=max(now, latest + 1e-3)))
    bump_revision(connection)
