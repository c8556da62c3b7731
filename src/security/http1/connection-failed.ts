/** What goes wrong on a connection, with the code that the system or we have for it. */
export class ConnectionFailed extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ConnectionFailed";
    this.code = code;
  }
}
