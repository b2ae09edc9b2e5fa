import { expect, test } from 'vitest';
import { parseTraffic } from '../../src/sessions/traffic.ts';

test('bytes are told by the client’s address and port, for IPv4 and IPv6', () => {
  // ss of iproute2 6.1, `ss -tinH sport = :2222`; the listener has no figures
  const text = `LISTEN 0      128    0.0.0.0:2222 0.0.0.0:*
\t cubic cwnd:10
ESTAB 0      856    127.0.0.1:2222 127.0.0.1:55132
\t bbr wscale:10,10 rto:204 rtt:3.266/5.89 ato:40 mss:41984 cwnd:17 bytes_sent:3659 bytes_acked:2939 bytes_received:3497 segs_out:11 segs_in:14 data_segs_out:8 busy:88ms unacked:1
ESTAB 0      0      [::1]:2222 [::1]:50000
\t cubic wscale:10,10 bytes_sent:10 bytes_retrans:3 bytes_acked:7 bytes_received:20 segs_out:1 segs_in:2
ESTAB 0      0      [::ffff:192.0.2.1]:2222 [::ffff:192.0.2.7]:50001
\t cubic bytes_sent:30 bytes_received:40 segs_in:2
ESTAB 0      0      [fe80::1]%eth0:2222 [fe80::2]:50002
\t cubic segs_out:1 segs_in:2
`;
  expect(Object.fromEntries(parseTraffic(text))).toEqual({
    '127.0.0.1|55132': { received: 3497, sent: 3659 },
    '::1|50000': { received: 20, sent: 10 },
    '192.0.2.7|50001': { received: 40, sent: 30 },
    'fe80::2|50002': { received: 0, sent: 0 },
  });
});

test('what the kernel does not tell is unknown, not zero', () => {
  const text = 'ESTAB 0      0      127.0.0.1:2222 127.0.0.1:55132\n\t\nESTAB 0 0 127.0.0.1:2222 127.0.0.1:55133\n';
  expect(parseTraffic(text).size).toBe(0);
  expect(parseTraffic('').size).toBe(0);
});
