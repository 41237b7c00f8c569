"""What a run tells while it goes on: to its log, to trackers, and to the person who watches."""

import math
from dataclasses import dataclass, field

from transformers import PreTrainedModel

from penstock.tracking.pictures import draw_curves
from penstock.tracking.run_log import RunLog, read_log
from penstock.tracking.tracker import Trackers
from penstock.training.encoding import Encoder
from penstock.training.recipe import Recipe
from penstock.training.reporter import Reporter, StepReport
from penstock.training.sampling import prompt_ids, write_sample
from penstock.training.standing import Standing


@dataclass(slots=True, kw_only=True)
class Teller:
    """Tells of one run. Of several processes only the first has one that speaks."""

    recipe: Recipe
    log: RunLog
    reporter: Reporter
    trackers: Trackers = field(default_factory=Trackers)

    def step(self, report: StepReport, standing: Standing, *, gradient_norm: float) -> None:
        """A step was taken."""
        self.reporter.report(report)
        values = {
            "loss": round(report.loss, 4),
            "learning_rate": float(f"{report.rate * self.recipe.learning_rate:.6g}"),
            "gradient_norm": float(f"{gradient_norm:.4g}"),
            "tokens_per_second": round(report.tokens_per_second),
            "tokens_seen": standing.tokens_seen,
        }
        self.log.write("train", report.step, rate=round(report.rate, 4), **values)
        self.trackers.log(report.step, {f"train/{name}": value for name, value in values.items()})

    def validation(self, loss: float, standing: Standing) -> None:
        """What is held out was scored."""
        step = standing.step
        self.log.write("validation", step, loss=round(loss, 4), tokens_seen=standing.tokens_seen)
        self.trackers.log(step, {"validation/loss": loss, "validation/perplexity": math.exp(loss)})
        self.reporter.say(f"step {step}  validation loss {loss:.3f}")

    def samples(self, model: PreTrainedModel, encoder: Encoder, step: int, kind: str) -> None:
        """The model continues the recipe's prompts, which are written as data of this kind."""
        for number, prompt in enumerate(self.recipe.sample_prompts):
            text = write_sample(
                model,
                prompt_ids(encoder, prompt, kind),
                encoder=encoder,
                tokens=self.recipe.sample_tokens,
                seed=self.recipe.seed + number,
            )
            self.log.write("sample", step, prompt=prompt, text=text)
            self.trackers.sample(step, prompt, text)
            self.reporter.say(f"  {text!r}")

    def curves(self) -> None:
        """Draw what the log has."""
        draw_curves(read_log(self.log.path), self.recipe.run_dir / "loss.png")

    def early_stop(self, standing: Standing) -> None:
        """The run ends, since nothing gets better."""
        self.log.write("early_stop", standing.step, best_step=standing.best_step)
        self.reporter.say(
            f"Stopped at step {standing.step}: the validation loss has not got better than "
            f"{standing.best_loss:.3f} (step {standing.best_step}) in {standing.num_stale} "
            "validations."
        )
