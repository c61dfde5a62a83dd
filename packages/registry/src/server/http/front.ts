/** What listens for requests and hands them to the registry. */
export interface Front {
  readonly port: number;
  /** Takes no further connections; waits for the requests under way, at most `patience` milliseconds, then cuts them. */
  stop(patience: number): Promise<void>;
  /** New certificates for connections from now on. */
  reload(tls: TlsPair): void;
}

export interface FrontOptions {
  readonly hostname: string;
  /** 0 for any free one. */
  readonly port: number;
  readonly tls?: TlsPair;
  readonly answer: (request: Request, peer: string) => Promise<Response> | Response;
}

/** PEM texts. */
export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

/** Seconds that a connection may be silent. */
export const IDLE_SECONDS = 120;

/** How often connections are looked at while the server ends, in milliseconds. */
export const STOP_STEP_MS = 20;
