"""The CC0 sample that ships with the package, as a corpus folder."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from keyboard_lm.network.checkpoint import bundled_folder
from keyboard_lm.network.tokenizer import TOKENIZER_FILE
from keyboard_lm_training.corpus.build import CorpusOptions, build_corpus
from keyboard_lm_training.corpus.recipe import load_recipe
from keyboard_lm_training.corpus.shards import MANIFEST_FILE


def sample_corpus(folder: Path) -> Path:
    """Return `folder`, made into a corpus of the shipped sample if it is not one yet.

    The bundled model's tokenizer is used, so that models trained on the sample and the bundled one compare.

    Raises:
        DataError: the folder cannot be written.
    """
    if (folder / MANIFEST_FILE).is_file():
        return folder
    package = resources.files(__package__)
    recipe = load_recipe("sample")
    with resources.as_file(package.joinpath("sample")) as sample:
        build_corpus(recipe, folder, CorpusOptions(data_dir=Path(sample), tokenizer_dir=_tokenizer_folder()))
    return folder


def _tokenizer_folder() -> Path | None:
    bundled = bundled_folder()
    return bundled if (bundled / TOKENIZER_FILE).is_file() else None
