"""What a text says to a network: the last states of CLIP's text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorekit.errors import RestorekitError

from .folder import CONFIG, json_of, weights_of
from .installed import needs
from .weights import built, corrupt, read

if TYPE_CHECKING:
    from torch import Tensor

STEMS = ("model", "pytorch_model")
BEFORE = "text_model."  # of names, in files of transformers before 5
POSITIONS = "embeddings.position_ids"  # 0, 1, 2, ..., which some files hold too


def told(tokenizer: Path, encoder: Path, words: list[str]) -> Tensor:
    """(B, tokens, width), of B texts.

    Raises:
        RestorekitError: for a text too long, or weights that do not fit.
    """
    with needs("transformers"):
        from transformers import CLIPTokenizer

    import torch

    network, length = encoder_of(encoder)
    try:
        # Files of this folder are read, and nothing in it is run.
        split = CLIPTokenizer.from_pretrained(
            str(tokenizer), local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise corrupt(tokenizer, error) from error
    for text in words:
        count = len(split(text).input_ids)
        if count > length:
            raise RestorekitError(
                f"the prompt {text[:40]!r}... has {count} tokens, and {length} are the most; "
                "say it in fewer words"
            )
    ids = split(words, padding="max_length", max_length=length, return_tensors="pt").input_ids
    with torch.inference_mode():
        states: Tensor = network(ids)[0]
    return states.clone()


def encoder_of(folder: Path) -> tuple[Any, int]:
    """A text encoder, and how many tokens it takes."""
    import torch

    with needs("transformers"):
        from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig.from_dict(json_of(folder / CONFIG))
    length = config.max_position_embeddings

    def make() -> Any:
        model = CLIPTextModel(config)
        network = getattr(model, "text_model", model)
        network.embeddings.position_ids = torch.arange(length, device="cpu")[None]
        return network

    weights = weights_of(folder, STEMS)
    state = {name.removeprefix(BEFORE): tensor for name, tensor in read(weights).items()}
    state.pop(POSITIONS, None)
    return built(make, state, weights), length
