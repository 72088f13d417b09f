"""Whether uploading to Roboflow would work, found out by asking it; nothing is changed there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hub.roboflow import Roboflow
from hub.sinks.options import PERIODS, SPLITS, RoboflowOptions
from shared.errors import BowerbirdError, InvalidInput, Refused

CHECK_S = 15.0
"""The longest that one question takes."""


@dataclass(frozen=True)
class Finding:
    """ok: whether it may stay as it is. what: is the case. hint: what to do, or to know; "" for nothing."""

    ok: bool
    what: str
    hint: str = ""


def check_roboflow(
    options: RoboflowOptions, projects: Iterable[str] = (), *, timeout_s: float = CHECK_S
) -> list[Finding]:
    """Key, workspace, projects and settings, in the order in which to repair them. Never raises for what it finds.

    projects: of destinations that name one, beside that of the options.
    """
    return [*_findings(options, projects, timeout_s), *_settings(options)]


def _findings(options: RoboflowOptions, projects: Iterable[str], timeout_s: float) -> Iterator[Finding]:
    if not options.key:
        yield Finding(False, "no key is set", "Set ROBOFLOW_KEY to a private key of the workspace.")
        return
    try:
        with Roboflow(options.key, url=options.url, timeout_s=timeout_s) as api:
            found = api.workspace
            yield Finding(True, f"the key is valid, and belongs to the workspace {found!r}")
            if options.workspace and options.workspace != found:
                yield Finding(
                    False,
                    f"ROBOFLOW_WORKSPACE is {options.workspace!r}",
                    f"Set it to {found!r}, or leave it out, or use a key of {options.workspace!r}.",
                )
            named = [*dict.fromkeys(name for name in (options.project, *projects) if name)]
            for project in named or [""]:
                yield from _project(api, replace(options, project=project))
    except InvalidInput as error:
        yield Finding(False, error.message, error.hint)
    except BowerbirdError as error:
        hint = error.hint or f"Asked was {options.url}; ROBOFLOW_API_URL changes that."
        yield Finding(False, error.message, hint)


def _project(api: Roboflow, options: RoboflowOptions) -> Iterator[Finding]:
    if not options.project:
        hint = "Set ROBOFLOW_PROJECT, or name the project with the destination: roboflow:my-project."
        yield Finding(False, "no project is set", hint)
        return
    try:
        project = api.project(options.project)
    except Refused as error:
        yield Finding(False, error.message)
        return
    boxes = project.type == "object-detection"
    hint = "" if boxes or not options.annotate else "Only object-detection projects get our detections along."
    yield Finding(True, f"the project {options.project!r} ({project.name}) is of type {project.type}", hint)


def _settings(options: RoboflowOptions) -> Iterator[Finding]:
    if options.split not in SPLITS:
        yield Finding(False, f"{options.split!r} is no split", f"One of: {', '.join(SPLITS)}")
    if options.batch_every not in PERIODS:
        yield Finding(False, f"{options.batch_every!r} is no period of batches", f"One of: {', '.join(PERIODS)}")
