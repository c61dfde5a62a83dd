import type { NetworkInfo } from "@slipway/network";
import type { Container } from "./faces.ts";
import type { Filters } from "./filters.ts";

export declare class NetworkService {
  list(filters: Filters): Promise<NetworkInfo[]>;
  inspect(nameOrId: string): Promise<{ readonly network: NetworkInfo; readonly containers: readonly Container[] }>;
}
