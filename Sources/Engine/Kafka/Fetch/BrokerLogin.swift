// Logs in to a broker over a line that is open: SaslHandshake, then as many SaslAuthenticate as the mechanism needs.
//
// A refusal is a `Failure` that names the user's side of it; the reader takes it for one when it comes twice, because a broker that is
// just starting refuses, too. The broker may limit how long a login lasts: the line is given up in time and opened anew,
// which is simpler than logging in again between two fetches and costs a few milliseconds an hour.

package struct BrokerLogin {
    private let login: BrokerAccess.Login
    private let line: BrokerLine
    private let deadline: ContinuousClock.Instant

    package init(_ login: BrokerAccess.Login, over line: BrokerLine, until deadline: ContinuousClock.Instant) {
        self.login = login
        self.line = line
        self.deadline = deadline
    }

    /// - Returns: how long the login lasts; nil for ever.
    package func run() throws -> Duration? {
        let mechanism = login.mechanism.rawValue
        let (error, offered) = try line.ask(.saslHandshake, until: deadline) {
            $0.text(mechanism)
        } read: { cursor throws(WireError) in
            let error = try cursor.int16()
            var offered: [String] = []
            for _ in 0..<(try cursor.count(false, elementBytes: 2)) { offered.append(try cursor.text(false)) }
            return (error, offered)
        }
        guard error == 0 else {
            throw refused("the broker takes \(offered.joined(separator: ", ")), not \(mechanism)")
        }
        switch login.mechanism {
        case .plain: return try authenticate(Array("\u{0}\(login.user)\u{0}\(login.password)".utf8)).lifetime
        case .scram256, .scram512:
            var exchange = ScramExchange(
                user: login.user, password: login.password, is512: login.mechanism == .scram512, nonce: ScramExchange.makeNonce())
            let first = try authenticate(Array(exchange.first.utf8))
            let final: String
            do { final = try exchange.final(after: String(decoding: first.bytes, as: UTF8.self)) } catch {
                throw refused(LineFailure.text(error))
            }
            let last = try authenticate(Array(final.utf8))
            do { try exchange.check(serverFinal: String(decoding: last.bytes, as: UTF8.self)) } catch {
                throw refused(LineFailure.text(error))
            }
            return last.lifetime
        }
    }

    private func authenticate(_ bytes: [UInt8]) throws -> (bytes: [UInt8], lifetime: Duration?) {
        let version = try line.known(.saslAuthenticate)
        let isFlexible = WireCall.saslAuthenticate.isFlexible(version)
        let answer = try line.ask(.saslAuthenticate, version: version, until: deadline) {
            $0.blob(bytes)
            $0.tags()
        } read: { cursor throws(WireError) in
            let error = try cursor.int16()
            let why = try cursor.optionalText(isFlexible)
            let bytes = try cursor.bytes(isFlexible)
            return (error: error, why: why, bytes: bytes, millis: version >= 1 ? try cursor.int64() : 0)
        }
        guard answer.error == 0 else {
            throw refused([FetchTrouble.name(answer.error), answer.why].compactMap { $0 }.joined(separator: ": "))
        }
        // In time: nine tenths of it, whatever the clocks say.
        return (answer.bytes, answer.millis > 0 ? .milliseconds(min(answer.millis, 86_400_000_000) * 9 / 10) : nil)
    }

    private func refused(_ why: String) -> Failure {
        Failure(
            .notAllowed, "Kafka did not let us in at \(line.address)", why: why,
            now: "check user, password and mechanism in the kafka.sasl.* and kafka.security.* settings")
    }
}
