// Who may call which route (protocol 13): every route needs the secret or a verified certificate, but for the two that
// only say "alive".
//
// A pure decision over path, header and peer, made before a byte of the body is read. There is no other exception: not
// for loopback, not for block routes, not for any method. The peer is asked about last, because judging a chain of
// certificates takes longer (about 0.1 ms) than comparing a secret.

import Engine

/// Whether a request may reach a handler.
package struct AccessRule: Sendable {
    package static let openPaths: Set<String> = ["/v1/health", "/v1/ready"]

    private let secret: Secret?
    private let admitsCertificates: Bool

    /// Nil and false let everybody in (tests only).
    package init(secret: Secret?, admitsCertificates: Bool = false) {
        self.secret = secret
        self.admitsCertificates = admitsCertificates
    }

    /// - Parameter isPeerVerified: whether the connection's other end showed a certificate of a trusted authority.
    package func allows(
        path: String, authorization: String?, isPeerVerified: @autoclosure () -> Bool = false
    ) -> Bool {
        if Self.openPaths.contains(path) || (secret == nil && !admitsCertificates) { return true }
        return isSecret(authorization) || (admitsCertificates && isPeerVerified())
    }

    private func isSecret(_ authorization: String?) -> Bool {
        let scheme = "bearer "
        guard let secret, let authorization, authorization.utf8.count > scheme.utf8.count,
            authorization.prefix(scheme.count).lowercased() == scheme
        else { return false }
        return secret.matches(authorization.utf8.dropFirst(scheme.utf8.count))
    }

    package var refusal: Failure {
        if admitsCertificates {
            return Failure(
                .unauthorized, "this request is not authorised",
                why: "it came without the secret of this cluster and without a certificate of its authorities",
                now: "give the certificate with `--tls-cert` and `--tls-key`, or the secret with `--secret-file`")
        }
        return Failure(
            .unauthorized, "this request is not authorised",
            why: "the secret is missing or is not the one of this cluster",
            now: "send `Authorization: Bearer SECRET`; the commands read it from `--secret-file`")
    }
}
