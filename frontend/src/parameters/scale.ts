/** Where a parameter's value sits on its slider, and back. Knows nothing of the page. */

import type { Parameter } from "../wire";

/** Sliders run over whole positions, fine enough for any pointer. */
export const POSITIONS = 1000;

export interface Range {
  readonly low: number;
  readonly high: number;
}

/** What the slider offers; `null` when the parameter has no ends to slide between. */
export function offeredRange(parameter: Parameter): Range | null {
  const low = parameter.offered_minimum ?? parameter.minimum ?? null;
  const high = parameter.offered_maximum ?? parameter.maximum ?? null;
  return low === null || high === null || high <= low ? null : { low, high };
}

export function toPosition(value: number, parameter: Parameter, range: Range): number {
  const inside = clamp(value, range.low, range.high);
  const share =
    parameter.scale === "log"
      ? logarithm(inside, range) / logarithm(range.high, range)
      : (inside - range.low) / (range.high - range.low);
  return Math.round(share * POSITIONS);
}

export function fromPosition(position: number, parameter: Parameter, range: Range): number {
  const share = clamp(position / POSITIONS, 0, 1);
  if (share === 0) return range.low;
  if (share === 1) return range.high;
  const value =
    parameter.scale === "log"
      ? range.low + (Math.exp(share * logarithm(range.high, range)) - 1) * unitOf(range)
      : range.low + share * (range.high - range.low);
  return clamp(snap(value, parameter), range.low, range.high);
}

/** One press of an arrow key: a step, or on a logarithmic slider a like share of the value. */
export function nudge(value: number, direction: 1 | -1, parameter: Parameter, range: Range): number {
  const step = stepOf(parameter);
  const stride = parameter.scale === "log" ? Math.max(step, snap(Math.abs(value) * 0.05, parameter)) : step;
  return clamp(snap(value + direction * stride, parameter), range.low, range.high);
}

/** Whole steps, whole numbers for integers, and no float dust. */
export function snap(value: number, parameter: Parameter): number {
  const step = stepOf(parameter);
  const origin = parameter.type === "int" ? 0 : (parameter.offered_minimum ?? parameter.minimum ?? 0);
  return tidy(origin + Math.round((value - origin) / step) * step);
}

/** A typed number, brought inside the limits that the server would accept. */
export function within(value: number, parameter: Parameter): number {
  const whole = parameter.type === "int" || parameter.type === "seed" ? Math.round(value) : value;
  return clamp(whole, parameter.minimum ?? -Infinity, parameter.maximum ?? Infinity);
}

export function stepOf(parameter: Parameter): number {
  if (parameter.type === "int") return Math.max(1, Math.round(parameter.step ?? 1));
  return parameter.step ?? 0.01;
}

/** Logarithmic from `low` upward. A range from 0 starts at one unit, so that 0 has a place too. */
function logarithm(value: number, range: Range): number {
  return Math.log(1 + (value - range.low) / unitOf(range));
}

function unitOf(range: Range): number {
  return range.low > 0 ? range.low : (range.high - range.low) / 100;
}

function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
