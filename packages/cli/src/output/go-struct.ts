/**
 * A document as Docker's templates see it: a Go struct of this type, whose unknown fields are mistakes, not `<no value>`.
 * `hidden` fields can be named in a template and do not appear in JSON.
 */
export async function goStruct(type: string, fields: object, hidden: object = {}): Promise<object> {
  const { GO_TYPE } = await import("@slipway/gotemplate");
  return Object.assign(Object.create({ [GO_TYPE]: type, ...hidden }) as object, fields);
}
