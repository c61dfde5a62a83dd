import type { Volume } from "./faces.ts";
import type { Filters } from "./filters.ts";

export declare class VolumeService {
  list(filters: Filters): Promise<Volume[]>;
  create(options: {
    readonly name?: string;
    readonly driver?: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly options: Readonly<Record<string, string>>;
  }): Promise<Volume>;
  inspect(name: string): Promise<Volume>;
  remove(name: string, force: boolean): Promise<void>;
  prune(filters: Filters): Promise<{ readonly removed: readonly string[]; readonly freedBytes: number }>;
}
