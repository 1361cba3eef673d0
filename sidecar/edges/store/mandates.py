"""A mandate as JSON, and back: a plan that a later run of the sidecar can go on with.

The images of sessions are the bulk of it and appear more than once: each is kept once, in the form
that checkpoints have. JSON and never pickle: reading it runs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec

from sidecar.edges.store import codec
from sidecar.errors import CheckpointUnusable, PlanUnreadable
from sidecar.model.plan import Plan, Undo
from sidecar.model.saga import Mandate
from sidecar.model.session import Checkpoint, SessionImage

VERSION = "mandate-1"
"""Another word for each form that this one cannot read."""


def encode(mandate: Mandate) -> str:
    """ASCII, so that argument vectors with undecodable bytes (lone surrogates) survive."""
    images: list[SessionImage] = []
    body = {
        "version": VERSION,
        "mandate": msgspec.to_builtins(_with_images(mandate, lambda image: _placed(images, image))),
        "images": [json.loads(codec.encode(image)) for image in images],
    }
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def decode(text: str) -> Mandate:
    """The mandate of a stored text.

    Raises:
        PlanUnreadable: it is not one of ours, or not one of this release's.
    """
    try:
        body = json.loads(text)
        if body["version"] != VERSION:
            raise PlanUnreadable(f"a plan of the form {body['version']!r} is not known here")
        images = [codec.decode(json.dumps(image)) for image in body["images"]]
        mandate = msgspec.convert(body["mandate"], Mandate)
        return _with_images(mandate, lambda place: images[int(place.name)])
    except (KeyError, IndexError, TypeError, ValueError, RecursionError, CheckpointUnusable) as error:
        raise PlanUnreadable(f"the stored plan does not parse: {error}") from error


def without_images(text: str) -> str:
    """The text of a mandate that has been carried out: for people, and small."""
    try:
        body = json.loads(text)
        return json.dumps({**body, "images": []}, ensure_ascii=True, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        return text


def _placed(images: list[SessionImage], image: SessionImage) -> SessionImage:
    """Put the image where it is kept, unless it is there. What stands for it is called as its place."""
    place = next((n for n, known in enumerate(images) if known is image or known == image), len(images))
    if place == len(images):
        images.append(image)
    return SessionImage(str(place), 0, 0, "", "", (), ())


def _with_images(mandate: Mandate, change: Callable[[SessionImage], SessionImage]) -> Mandate:
    """The mandate with every image changed."""

    def checkpoint(one: Checkpoint) -> Checkpoint:
        return replace(one, image=change(one.image))

    def undo(one: Undo) -> Undo:
        return replace(one, checkpoint=checkpoint(one.checkpoint))

    def plan(one: Plan) -> Plan:
        wanted = one.expectation.image
        return replace(
            one,
            expectation=replace(one.expectation, image=change(wanted) if wanted else None),
            checkpoint=checkpoint(one.checkpoint) if one.checkpoint else None,
            undo=undo(one.undo) if one.undo else None,
        )

    order = mandate.order
    return replace(
        mandate,
        plan=plan(mandate.plan),
        order=replace(order, checkpoint=checkpoint(order.checkpoint)) if order else None,
    )
