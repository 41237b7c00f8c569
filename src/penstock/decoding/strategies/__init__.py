"""Every decoding strategy, one per file. The catalog of the API, the CLI and the page."""

from collections.abc import Mapping

from penstock.decoding.parameters import Parameter
from penstock.decoding.strategies.assisted import Assisted
from penstock.decoding.strategies.beam_sampling import BeamSampling
from penstock.decoding.strategies.beam_search import BeamSearch
from penstock.decoding.strategies.best_of_n import BestOfN
from penstock.decoding.strategies.constrained_beam_search import ConstrainedBeamSearch
from penstock.decoding.strategies.contrastive_search import ContrastiveSearch
from penstock.decoding.strategies.controlled import Controlled
from penstock.decoding.strategies.diverse_beam_search import DiverseBeamSearch
from penstock.decoding.strategies.dola import Dola
from penstock.decoding.strategies.greedy import Greedy
from penstock.decoding.strategies.interface import Strategy
from penstock.decoding.strategies.prompt_lookup import PromptLookup
from penstock.decoding.strategies.sampling import Sampling
from penstock.decoding.strategies.top_k import TopK

STRATEGIES: dict[str, type[Strategy]] = {
    strategy.id: strategy
    for strategy in (
        Sampling,
        TopK,
        Greedy,
        BeamSearch,
        BeamSampling,
        DiverseBeamSearch,
        ConstrainedBeamSearch,
        BestOfN,
        PromptLookup,
        Assisted,
        ContrastiveSearch,
        Dola,
        Controlled,
    )
}
DEFAULT_STRATEGY = Sampling.id
PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for strategy in reversed(STRATEGIES.values())
    for parameter in strategy.parameters
}  # everything that some strategy uses; the first of them says in which words and which range
