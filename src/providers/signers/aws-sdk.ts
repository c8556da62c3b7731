/** Of the AWS libraries what a signature takes; loaded when the first request is signed. */
export { Sha256 } from "@smithy/core/checksum";
export { SignatureV4 } from "@smithy/signature-v4";
