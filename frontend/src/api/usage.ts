/** What was used and what may be used, as functions. */

import type { LimitLeft, UsageReport } from "../wire";
import { request } from "./client";

export interface UsageApi {
  /** By day, the latest thirty. */
  usage(): Promise<UsageReport>;
  limits(): Promise<readonly LimitLeft[]>;
}

export function createUsageApi(base: string): UsageApi {
  return {
    usage: async () => (await (await request(base, "/usage", {})).json()) as UsageReport,
    limits: async () => {
      const answer = (await (await request(base, "/limits", {})).json()) as { readonly limits: readonly LimitLeft[] };
      return answer.limits;
    },
  };
}
