import { SlipwayError } from "@slipway/base";

export interface Patience {
  /** Milliseconds without a byte. */
  readonly limit: number;
  /** Whether somebody waits for the end of the upload. */
  readonly isAwaited: () => boolean;
}

/**
 * The same bytes, but one who sends nothing for a while keeps nobody waiting: the stream then fails with `deadline`. As long
 * as nobody waits it may take any time. The `subject` is named in the message.
 */
export function whilePatient(
  upload: ReadableStream<Uint8Array>,
  patience: Patience,
  subject: string,
): ReadableStream<Uint8Array> {
  const reader = upload.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await untilStalled(reader.read(), patience, subject);
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

async function untilStalled<T>(read: Promise<T>, { limit, isAwaited }: Patience, subject: string): Promise<T> {
  const stalled = Promise.withResolvers<never>();
  const timer = setInterval(() => {
    if (!isAwaited()) return;
    const seconds = Math.round(limit / 1000);
    const message = `the upload into ${subject} was given up: nothing came for ${seconds} s while others waited for it`;
    stalled.reject(new SlipwayError("deadline", message, { hint: "Repeat it; a file is sent faster than a pipe." }));
  }, limit);
  try {
    return await Promise.race([read, stalled.promise]);
  } finally {
    clearInterval(timer);
  }
}
