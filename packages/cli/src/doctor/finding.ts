/** What one look at the machine found. */
export interface Finding {
  /** What was looked at, in a word or two: `cgroups`, `DNS 10.0.0.1`. */
  readonly subject: string;
  /** `fail`: containers or builds will not work. `warn`: something will be missing, slow or unsafe. */
  readonly level: "ok" | "warn" | "fail";
  readonly says: string;
  /** What to do about it. */
  readonly repair?: string;
}

export const ok = (subject: string, says: string): Finding => ({ subject, level: "ok", says });
export const warn = (subject: string, says: string, repair: string): Finding => ({
  subject,
  level: "warn",
  says,
  repair,
});
export const fail = (subject: string, says: string, repair: string): Finding => ({
  subject,
  level: "fail",
  says,
  repair,
});
