/** The three curves of RFC 5656, section 10.1: y² = x³ - 3x + b (mod p), with the order n of the base point (FIPS 186-4, D.1.2). */
export type Curve = {
  readonly name: string;
  readonly bits: number;
  /** Length of one coordinate in bytes. */
  readonly size: number;
  readonly p: bigint;
  readonly b: bigint;
  readonly n: bigint;
};

export const CURVES: readonly Curve[] = [
  {
    name: 'nistp256',
    bits: 256,
    size: 32,
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  {
    name: 'nistp384',
    bits: 384,
    size: 48,
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  {
    name: 'nistp521',
    bits: 521,
    size: 66,
    p: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
    n: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
];

/**
 * Whether bytes are a public point that OpenSSH accepts: uncompressed (SEC 1, 2.3.4), on the curve, and within the bounds of its
 * sshkey_ec_validate_public. The curves have cofactor 1, so a point on the curve has the right order.
 */
export const isPublicPoint = (curve: Curve, point: Buffer): boolean => {
  const { size, p, b, n } = curve;
  if (point.length !== 1 + 2 * size || point[0] !== 4) return false;
  const x = BigInt(`0x${point.toString('hex', 1, 1 + size)}`);
  const y = BigInt(`0x${point.toString('hex', 1 + size)}`);
  if (x >= p || y >= p || (y * y - (x * x * x - 3n * x + b)) % p !== 0n) return false;
  const least = 1n << BigInt(curve.bits >> 1);
  return x >= least && y >= least && x < n - 1n && y < n - 1n;
};
