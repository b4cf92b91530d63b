/** Progress of a comparison and time left, from the estimates of its plan and how accurate they were so far. */
import type { Plan } from "./plan.ts";

export class Clock {
  private readonly estimates: ReadonlyMap<string, number>;
  private readonly done = new Set<string>();
  private estimated = 0;
  private spent = 0;

  constructor({ jobs }: Plan, results: ReadonlyMap<string, unknown>) {
    this.estimates = new Map(jobs.map(({ job, seconds }) => [job.id, seconds]));
    for (const id of results.keys()) this.done.add(id);
  }

  /** A job took `spent` seconds. */
  finished(id: string, estimated: number, spent: number): void {
    this.done.add(id);
    this.estimated += estimated;
    this.spent += spent;
  }

  /** When this share of a job is done. */
  at(id: string, share: number): { done: number; secondsLeft: number } {
    const sum = (ids: Iterable<string>) => [...ids].reduce((total, each) => total + (this.estimates.get(each) ?? 0), 0);
    const all = sum(this.estimates.keys());
    const past = sum(this.done) + share * (this.estimates.get(id) ?? 0);
    const pace = this.estimated > 0 ? this.spent / this.estimated : 1;
    return { done: past / all, secondsLeft: (all - past) * pace };
  }
}
