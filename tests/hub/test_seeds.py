"""Seeds named by people, and texts that an embedder does not understand."""

import pytest

from hub.models.builtin_embedder import BuiltinEmbedder
from hub.seeds import listed, named, not_understood
from hub.types import Seed, SeedKind
from shared.errors import InvalidInput, ModelError, NotFound

CAR = Seed("aaaa1111", SeedKind.TEXT, "a red car")
OWL = Seed("bbbb1111", SeedKind.IMAGE, "owl.jpg", "bbbb1111")
NO_OWL = Seed("not-bbbb1111", SeedKind.IMAGE, "owl.jpg", "bbbb1111", negative=True)
TWIN = Seed("cccc1111", SeedKind.IMAGE, "1.jpg", "cccc1111")
OTHER_TWIN = Seed("cccc2222", SeedKind.IMAGE, "1.jpg", "cccc2222")
SEEDS = [CAR, OWL, NO_OWL, TWIN, OTHER_TWIN]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("a red car", CAR),
        ("aaaa1111", CAR),
        ("aaaa", CAR),
        ("owl.jpg", OWL),
        ("not like owl.jpg", NO_OWL),
        ("cccc2", OTHER_TWIN),
    ],
)
def test_a_seed_is_named_as_it_is_listed_or_by_its_id(wanted, found):
    assert named(SEEDS, wanted) is found


@pytest.mark.parametrize("seed", [CAR, OWL, NO_OWL])
def test_what_is_listed_names_its_seed(seed):
    assert named(SEEDS, listed(seed)) is seed


@pytest.mark.parametrize("wanted", ["1.jpg", "cccc"])
def test_a_name_of_several_seeds_is_refused_with_their_ids(wanted):
    with pytest.raises(InvalidInput, match="is 2 seeds") as error:
        named(SEEDS, wanted)
    assert "cccc1111 (1.jpg), cccc2222 (1.jpg)" in error.value.hint


@pytest.mark.parametrize("wanted", ["a red cat", "aaa", ""])
def test_an_unknown_seed_is_not_found(wanted):
    with pytest.raises(NotFound):
        named(SEEDS, wanted)


def test_the_nearest_is_named():
    with pytest.raises(NotFound, match="no seed named") as error:
        named(SEEDS, "red car")
    assert "Did you mean a red car" in error.value.hint


def test_texts_that_are_not_understood_are_told_one_by_one():
    class Short(BuiltinEmbedder):
        def embed_text(self, texts):
            if any(len(text) > 5 for text in texts):
                raise ModelError("too long")

    assert not_understood(["a", "a long text", "b"], Short()) == {"a long text"}
    assert not_understood(["a", "b"], BuiltinEmbedder()) == {"a", "b"}
    assert not_understood([], BuiltinEmbedder()) == set()
