"""A small byte-level tokenizer, learnt on the spot, for tests that have no shared data."""

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
TEXTS = [
    "Once upon a time there was a little house at the end of the road.",
    "It wasn't far: \u201cthree miles\u201d, said the caf\u00e9's owner, na\u00efve as ever.",
    "\u65e5\u672c\u8a9e \U0001f984 \U0001f468\u200d\U0001f469\u200d\U0001f467 end",
]


def learn_byte_level() -> tokenizers.Tokenizer:
    """A byte-level BPE by GPT-2's rules, learnt from a few sentences."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(TEXTS * 3, trainer)
    return backend
