"""The fields of Ollama's requests that change nothing here: harmless, or refused by name."""

from collections.abc import Sequence

from penstock.api.openai.fields import Harmless, Refused, Rule

Hint = bool | int
RUNNING = "How models are run is set for the whole server."

OPTION_RULES: Sequence[Rule] = (
    *(
        Harmless(name=name, wire=Hint, why=RUNNING)
        for name in (
            "embedding_only", "f16_kv", "logits_all", "low_vram", "main_gpu", "num_batch",
            "num_gpu", "num_thread", "numa", "use_mlock", "use_mmap", "vocab_only",
        )
    ),
    Harmless(name="num_keep", wire=int, why="Nothing is ever cut from a prompt."),
    Refused(name="penalize_newline", neutral=(True,), why="Penalties make no exceptions."),
    Refused(
        name="repeat_last_n",
        neutral=(-1,),
        why="repeat_penalty looks at the whole text.",
        instead="Leave it out, or use dry_multiplier with dry_penalty_last_n.",
    ),
)  # fmt: skip
LENGTH_RULES: Sequence[Rule] = (
    Refused(name="shift", neutral=(False,), why="A text ends where the context is full."),
    Refused(name="truncate", neutral=(False,), why="A prompt that does not fit is refused."),
)
THINK = Refused(name="think", neutral=(False,), why="No model here thinks apart.")
GENERATE_RULES: Sequence[Rule] = (
    *LENGTH_RULES,
    THINK,
    Refused(name="context", neutral=([],), why="Send the conversation to /api/chat."),
    Refused(name="images", neutral=([],), why="Models here read text."),
    Refused(name="suffix", neutral=("",), why="No model here was taught to fill a gap."),
    Refused(
        name="template",
        neutral=("",),
        why="Templates come from a model's folder.",
        instead="Leave it out, or set raw and send the whole text as the prompt.",
    ),
)
CHAT_RULES: Sequence[Rule] = (
    *LENGTH_RULES,
    THINK,
)
EMBED_RULES: Sequence[Rule] = ()
PULL_RULES: Sequence[Rule] = (
    Refused(
        name="insecure",
        neutral=(False,),
        why="The hub is asked as HF_ENDPOINT says, and its certificate is checked.",
    ),
)
