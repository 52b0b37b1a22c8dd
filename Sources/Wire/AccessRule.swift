// Who may call which route (protocol 13): every route needs the secret, but for the two that only say "alive".
//
// A pure decision over path and header, made before a byte of the body is read. There is no other exception: not for
// loopback, not for block routes, not for any method.

import Engine

/// Whether a request may reach a handler.
package struct AccessRule: Sendable {
    package static let openPaths: Set<String> = ["/v1/health", "/v1/ready"]

    private let secret: Secret?

    package init(secret: Secret?) { self.secret = secret }

    package func allows(path: String, authorization: String?) -> Bool {
        guard let secret, !Self.openPaths.contains(path) else { return true }
        let scheme = "bearer "
        guard let authorization, authorization.utf8.count > scheme.utf8.count,
            authorization.prefix(scheme.count).lowercased() == scheme
        else { return false }
        return secret.matches(authorization.utf8.dropFirst(scheme.utf8.count))
    }

    package static var refusal: Failure {
        Failure(
            .unauthorized, "this request is not authorised",
            why: "the secret is missing or is not the one of this cluster",
            now: "send `Authorization: Bearer SECRET`; the commands read it from `--secret-file`")
    }
}
