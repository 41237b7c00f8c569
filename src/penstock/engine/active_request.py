"""A request at work in the engine: its strategy, its live sequences and its texts in the making."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from torch import Tensor

from penstock.decoding.constraints.following import Follower
from penstock.decoding.processors import in_use
from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Answer, Question
from penstock.decoding.randomness import coin, noise_key, stream_of, uniform
from penstock.decoding.strategies import STRATEGIES
from penstock.decoding.strategies.interface import (
    Action,
    Agree,
    Append,
    Draft,
    Draw,
    DrawDistinct,
    Drop,
    Finish,
    Fork,
    Guess,
    Need,
    Probe,
    StepResult,
    StrategyInput,
    Tell,
)
from penstock.engine.block_manager import BlockManager
from penstock.engine.deadline import UntilLate
from penstock.engine.outputs import LogprobTree, ReturnedSequence, TreeTeller
from penstock.engine.prepare import PreparedRequest
from penstock.engine.prompt_mean import PromptMean
from penstock.engine.prompt_scores import PromptScores
from penstock.engine.sequence import Sequence as EngineSequence
from penstock.engine.sequence import Source
from penstock.engine.shadows import Shadows
from penstock.engine.stopwatch import Stopwatch
from penstock.engine.wording import id_of_word
from penstock.ops.adapted_ops import Additions
from penstock.text.detokenizer import IncrementalDetokenizer
from penstock.text.stop_strings import StopStringCutter
from penstock.text.tokenizer import Tokenizer
from penstock.types import (
    EngineOutput,
    FinishReason,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
    TreeGrown,
)


class ActiveRequest:
    """Asks for what the strategy needs and carries out what it decides. Owned by the engine."""

    def __init__(
        self,
        prepared: PreparedRequest,
        tokenizer: Tokenizer,
        submitted_at: float,
        executor: Executor,
    ) -> None:
        request = prepared.request
        self.request_id = request.request_id
        self.tenant = request.tenant
        self.stopwatch = Stopwatch(submitted_at)
        self._num_cached_tokens: int | None = None  # of the prompt, that needed no computing
        self._prepared = prepared
        self._stop = UntilLate(prepared.stopping)
        self._strategy = STRATEGIES[request.strategy](
            StrategyInput(
                params=request.params,
                num_sequences=request.num_sequences,
                eos_token_ids=prepared.stopping.eos_token_ids,
                stop=self._stop,
                prompt_token_ids=prepared.prompt_token_ids,
                tells_tree=request.beam_tree,
            )
        )
        first = prepared.first_token_ids
        sequence = EngineSequence(0, list(first), num_prompt=len(first), source=_source(prepared))
        sequence.keeps_hidden = isinstance(self._strategy.need(0), Probe)
        sequence.salt = _salt(prepared)
        self._shadows = Shadows(prepared, sequence.salt)
        if isinstance(request.params.dola_layers, tuple):
            sequence.early_layers = request.params.dola_layers
        self._sequences = {0: sequence}
        self._followers: dict[int, Follower] = {}  # by sequence, with a constraint
        if prepared.constraint is not None:
            self._followers[0] = prepared.constraint.follow(executor)
        self._prompt_scores: PromptScores | None = None
        if request.prompt_logprobs is not None:
            self._prompt_scores = PromptScores(request, first, tokenizer)
            self._sequences[0].scores_from = 0
        self._prompt_mean: PromptMean | None = None
        if request.embed:
            self._prompt_mean = PromptMean(self.request_id)
            self._sequences[0].pools_from = 0
        self._results: dict[int, list[StepResult]] = {}
        self._tosses = "xtc_probability" in in_use(request.params)
        self._drafts: dict[int, int] = {}  # how many guesses a sequence wants of the draft model
        self._surprises: dict[tuple[int, int], float] = {}  # of sequence and token, this step
        self._logprobs = LogprobTree(tokenizer, first)
        self._returned = [
            ReturnedSequence(
                request_id=request.request_id,
                index=index,
                detokenizer=IncrementalDetokenizer(tokenizer, first),
                cutter=StopStringCutter(request.stop, _may_cut(prepared)),
                logprobs=self._logprobs,
            )
            for index in range(request.num_sequences)
        ]
        self._unfinished = set(range(request.num_sequences))
        self._named = tuple(id_of_word(word) for word in request.named_tokens)
        self._tree = TreeTeller(request.request_id, tokenizer)

    @property
    def additions(self) -> Additions | None:
        """What its adapter adds, if it has one."""
        adapter = self._prepared.adapter
        return None if adapter is None else adapter.additions

    @property
    def live(self) -> Iterable[EngineSequence]:
        """Each sequence after its shadow, whose logits it needs."""
        for sequence in self._sequences.values():
            yield from self._shadows.of(sequence.id)
            yield sequence

    @property
    def num_to_compute(self) -> int:
        """The tokens of its live sequences that are not computed yet."""
        return sum(sequence.num_pending for sequence in self.live)

    @property
    def has_started(self) -> bool:
        """Whether it was ever planned."""
        return self.stopwatch.planned_at is not None

    @property
    def can_be_cut_short(self) -> bool:
        """Whether its texts may end now, without its strategy and with nothing that is owed.

        A strategy that is at work ends its texts itself, and a prompt that is to be scored is.
        """
        has_decided = self.stopwatch.first_token_at is not None
        is_at_work = has_decided and all(sequence.block_table for sequence in self.live)
        owes = not has_decided and any(sequence.must_be_read for sequence in self.live)
        return not is_at_work and not owes

    @property
    def is_finished(self) -> bool:
        return not self._unfinished

    @property
    def has_all_results(self) -> bool:
        """Whether every live sequence has had its logits, so that the strategy can decide."""
        return self._results.keys() >= self._sequences.keys()

    def note_cached(self, sequence: EngineSequence) -> int:
        """How much of the prompt is known already, told once: when it is first planned."""
        if sequence.is_shadow or self._num_cached_tokens is not None:
            return 0
        self._num_cached_tokens = sequence.num_computed
        return sequence.num_computed

    def started(self) -> RequestStarted:
        adapter, attribute = self._prepared.adapter, self._prepared.attribute
        return RequestStarted(
            request_id=self.request_id,
            num_prompt_tokens=len(self._prepared.prompt_token_ids),
            max_new_tokens=self._prepared.stopping.max_new_tokens,
            seed=self._prepared.seed,
            num_sequences=len(self._returned),
            adapter_digest=None if adapter is None else adapter.digest,
            attribute_digest=None if attribute is None else attribute.digest,
        )

    def finished(self, error: Exception | None = None) -> RequestFinished:
        return RequestFinished(
            request_id=self.request_id,
            num_prompt_tokens=len(self._prepared.prompt_token_ids),
            num_completion_tokens=sum(len(r.token_ids) for r in self._returned),
            num_cached_tokens=self._num_cached_tokens or 0,
            timings=self.stopwatch.timings(),
            error=error,
        )

    def questions(self, sequence: EngineSequence, early: Tensor | None) -> list[Question]:
        """What the strategy wants from the next logits of `sequence`, and after each guess.

        `early` (num_questions, num_layers, vocab_size) are the logits of its early layers, if any.
        """
        need = self._strategy.need(sequence.id)
        rows = [None] * (sequence.num_guesses + 1) if early is None else early.unbind()
        return [self._question(sequence, need, i, row) for i, row in enumerate(rows)]

    def _question(
        self, sequence: EngineSequence, need: Need, num_guesses: int, early: Tensor | None
    ) -> Question:
        """What is wanted if the first `num_guesses` guesses are right."""
        streams = need.streams if isinstance(need, Draw) else ()
        position = sequence.num_generated + num_guesses
        return Question(
            row=Row(
                params=self._prepared.request.params,
                token_ids=_beginning(sequence.token_ids, sequence.num_prompt + position),
                source_token_ids=self._prepared.source_token_ids,
                num_generated=position,
                min_new_tokens=self._prepared.request.min_new_tokens,
                eos_token_ids=self._prepared.stopping.eos_token_ids,
                max_new_tokens=self._prepared.stopping.max_new_tokens,
                allowed=self._allowed(sequence),
                early=early,
                attribute=self._prepared.attribute,
                unconditional=self._shadows.logits(sequence.id),
                coin=coin(self._prepared.seed, sequence.id, position) if self._tosses else 0.0,
                total_surprise=sequence.total_surprise,
                min_kept=need.min_kept if isinstance(need, DrawDistinct) else 1,
            ),
            need=need,
            uniforms=tuple(uniform(self._prepared.seed, s, position) for s in streams),
            noise_key=self._noise_key(sequence, position) if isinstance(need, DrawDistinct) else 0,
            num_logprobs=self._prepared.request.logprobs,
            num_traced=self._prepared.request.trace,
            named=self._named,
        )

    def _allowed(self, sequence: EngineSequence) -> Tensor | None:
        """What the constraint, if there is one, allows next."""
        follower = self._followers.get(sequence.id)
        return None if follower is None else follower.allowed()

    def _noise_key(self, sequence: EngineSequence, position: int) -> int:
        """What the numbers of a draw without replacement are made from: the text, not its place."""
        generated = sequence.token_ids[sequence.num_prompt : sequence.num_prompt + position]
        return noise_key(self._prepared.seed, stream_of(generated), position)

    def receive(
        self, sequence: EngineSequence, answers: Iterable[Answer], likeness: float | None = None
    ) -> None:
        """Keep a sequence's answers until all live sequences have theirs.

        The answers after a wrong guess are to a question that nobody has.
        """
        results = self._results[sequence.id] = []
        end = sequence.num_prompt + sequence.num_generated
        for position, answer in enumerate(answers, end):
            if answer.report is not None:
                path = sequence.token_ids[sequence.num_prompt : position]
                self._logprobs.record(path, answer.token_ids, answer.report)
            for token_id, surprise in zip(answer.token_ids, answer.surprises, strict=False):
                self._surprises[sequence.id, token_id] = surprise
            results.append(
                StepResult(sequence.id, answer.token_ids, answer.logprobs, answer.keys, likeness)
            )
            if sequence.token_ids[position : position + 1] != [*answer.token_ids]:
                break

    def take_drafts(self) -> list[tuple[EngineSequence, int]]:
        """The sequences that want guesses of the draft model, and how many; told once."""
        drafts, self._drafts = self._drafts, {}
        return [(self._sequences[i], count) for i, count in drafts.items() if i in self._sequences]

    def question_after_guesses(self, sequence: EngineSequence) -> Question:
        """What the strategy will want after the last guess, without the reports."""
        need = self._strategy.need(sequence.id)
        question = self._question(sequence, need, sequence.num_guesses, None)
        return replace(question, num_logprobs=None, num_traced=None, named=())

    def take_shadow(self, shadow: EngineSequence, logits: Tensor) -> None:
        """Keep the logits (vocab_size,) of a shadow until its sequence has its own."""
        self._shadows.take(shadow, logits)

    def score_prompt(self, sequence: EngineSequence, positions: range, logits: Tensor) -> None:
        """Note how likely the prompt's tokens after `positions` were."""
        assert self._prompt_scores is not None
        self._prompt_scores.add(positions, logits)
        sequence.scores_from = positions.stop

    def pool_prompt(self, sequence: EngineSequence, positions: range, hidden: Tensor) -> None:
        """Take the final hidden states (num_positions, hidden_size) of part of the prompt."""
        assert self._prompt_mean is not None
        self._prompt_mean.add(hidden)
        sequence.pools_from = positions.stop

    def decide(self, blocks: BlockManager) -> list[EngineOutput]:
        """Let the strategy act on its results, and carry out what it says."""
        outputs: list[EngineOutput] = []
        if self._prompt_scores is not None:
            outputs += self._prompt_scores.take()
        if self._prompt_mean is not None:
            outputs += self._prompt_mean.take()
        if self._prepared.stopping.max_new_tokens == 0:
            return [*outputs, *self._finish_all(FinishReason.LENGTH)]
        results = [r for sequence_id in self._sequences for r in self._results[sequence_id]]
        for sequence in self._sequences.values():
            sequence.give_up_guesses()
            num_right = len(self._results[sequence.id]) - 1
            blocks.truncate(sequence, len(sequence.token_ids) + num_right)
        self._results = {}
        actions = self._strategy.decide(results)
        for action in actions:
            if isinstance(action, Fork):
                self._fork(action, blocks)
        for action in actions:
            outputs += self._carry_out(action, blocks)
        self._surprises = {}
        return outputs

    def note_time(self, now: float) -> bool:
        """Whether the request is late; from then on its strategy finds every text complete."""
        max_time = self._prepared.request.max_time
        self._stop.is_late = max_time is not None and now - self.stopwatch.submitted_at >= max_time
        return self._stop.is_late

    def end_late(self) -> list[SequenceFinished]:
        """End every unfinished text where it stands, for want of time."""
        return self._finish_all(FinishReason.TIME)

    def cancel(self) -> list[SequenceFinished]:
        """End every unfinished text where it stands."""
        return self._finish_all(FinishReason.CANCELLED)

    def _finish_all(self, reason: FinishReason) -> list[SequenceFinished]:
        finishes = [
            self._returned[index].finish(
                Finish(index, tuple(self._returned[index].token_ids), reason)
            )
            for index in sorted(self._unfinished)
        ]
        self._unfinished.clear()
        return [out for outs in finishes for out in outs if isinstance(out, SequenceFinished)]

    def _carry_out(
        self, action: Action, blocks: BlockManager
    ) -> Sequence[TokensAdded | SequenceFinished | TreeGrown]:
        match action:
            case Append(sequence_id, token_id):
                sequence = self._sequences[sequence_id]
                sequence.token_ids.append(token_id)
                self._shadows.append(sequence_id, token_id)
                sequence.total_surprise += self._surprises.get((sequence_id, token_id), 0.0)
                if sequence_id in self._followers:
                    self._followers[sequence_id].advance(token_id)
            case Guess(sequence_id, token_ids):
                # a constraint, as a shadow, is followed token by token
                if sequence_id not in self._followers and not self._shadows.of(sequence_id):
                    self._sequences[sequence_id].guess(token_ids)
            case Draft(sequence_id, count):
                if sequence_id not in self._followers and not self._shadows.of(sequence_id):
                    self._drafts[sequence_id] = count
            case Drop(sequence_id):
                blocks.free(self._sequences.pop(sequence_id))
                self._shadows.drop(sequence_id, blocks)
                self._followers.pop(sequence_id, None)
            case Agree(index, token_ids):
                return [self._returned[index].add(token_ids)]
            case Finish(index):
                self._unfinished.discard(index)
                return self._returned[index].finish(action)
            case Tell():
                return [self._tree.tell(action)]
        return []

    def _fork(self, fork: Fork, blocks: BlockManager) -> None:
        parent = self._sequences[fork.parent_id]
        assert parent.num_computed <= len(parent.token_ids), "right guesses belong to one sequence"
        token_ids = [*parent.token_ids, fork.token_id]
        child = EngineSequence(fork.child_id, token_ids, num_prompt=parent.num_prompt)
        surprise = self._surprises.get((parent.id, fork.token_id), 0.0)
        child.total_surprise = parent.total_surprise + surprise
        child.keeps_hidden = parent.keeps_hidden
        child.early_layers = parent.early_layers
        blocks.fork(parent, child)
        self._sequences[fork.child_id] = child
        self._shadows.fork(parent.id, child.id, fork.token_id, blocks)
        if parent.id in self._followers:
            self._followers[child.id] = self._followers[parent.id].fork(fork.token_id)


def _beginning(token_ids: list[int], count: int) -> list[int]:
    """The first tokens; the list itself where that is all, since nobody keeps it beyond a step."""
    return token_ids if count == len(token_ids) else token_ids[:count]


def _source(prepared: PreparedRequest) -> Source | None:
    token_ids = prepared.source_token_ids
    return None if token_ids is None else Source(token_ids)


def _salt(prepared: PreparedRequest) -> str | None:
    """What must agree, besides the tokens, for keys and values to be the same and to be shared.

    Whatever changes them for the same text belongs in here. None: they are shared with nobody,
    as where they depend on what an encoder read.
    """
    if prepared.source_token_ids is not None:
        return None
    adapter = "" if prepared.adapter is None else prepared.adapter.digest
    return f"{adapter}:{prepared.request.tenant}"


def _may_cut(prepared: PreparedRequest) -> Callable[[str], bool] | None:
    """A stop string ends a text with a constraint only where it is complete."""
    constraint = prepared.constraint
    return None if constraint is None else lambda text: constraint.accepts(text.encode())
