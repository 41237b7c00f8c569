/** What each step of the chain let through at one place: a bar of the probability it kept. */

import type { JSX } from "preact";
import { useApp } from "../../app";
import type { Stage } from "../../wire";
import { percent } from "../tokens";

interface Props {
  readonly stages: readonly Stage[];
  readonly chosen: number | null;
}

export function Waterfall({ stages, chosen }: Props): JSX.Element | null {
  const { catalog } = useApp();
  const parameters = catalog.strategies.value.flatMap((strategy) => strategy.parameters);
  if (stages.length < 2) return null;
  return (
    <table class="waterfall">
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col">keeps</th>
          <th scope="col">tokens</th>
          <th scope="col">this one</th>
        </tr>
      </thead>
      <tbody>
        {stages.map((stage) => (
          <tr key={stage.name}>
            <th scope="row">
              {stage.name === "model" ? "Model" : (parameters.find(({ name }) => name === stage.name)?.label ?? stage.name)}
            </th>
            <td>
              <span class="chance" style={{ "--chance": stage.mass_kept }} title={percent(stage.mass_kept)} />
            </td>
            <td class="number">{stage.num_kept.toLocaleString("en")}</td>
            <td class="number">{chanceOf(stage, chosen)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function chanceOf({ top }: Stage, chosen: number | null): string {
  const token = top.find(({ token_id: id }) => id === chosen);
  return token === undefined ? "–" : percent(Math.exp(token.logprob));
}
