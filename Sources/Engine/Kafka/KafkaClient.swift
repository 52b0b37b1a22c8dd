// The sole owner of a librdkafka handle: creates it from a configuration, listens to it, destroys it.
//
// librdkafka runs threads of its own; it logs from them (never to stderr here) and raises errors through callbacks that
// are served when the application polls. What it said last about transport and login is remembered, because the calls
// that fail afterwards only say "timed out": `failure(_:doing:)` turns a code into a `Failure` with that memory in it.
//
// The handle itself is thread-safe, which is what the unchecked Sendable below rests on; everything remembered sits in a
// `Mutex`. Other files of this folder borrow `handle` and never keep it beyond the client's life: they hold the client.
//
// When changing this file: `rd_kafka_new` takes the configuration over only when it succeeds; the callbacks' context is
// owned by the client and must outlive `rd_kafka_destroy`, which joins the library's threads.

import CRdKafka
import Glibc
import Synchronization

package final class KafkaClient: @unchecked Sendable {
    package enum Role: Sendable { case consumer, producer }

    /// A property that the engine sets, beside those of the person.
    struct Property {
        enum Strength {
            /// The person's own value goes before it.
            case preference
            /// Like `preference`, and left out where the loaded library does not know it.
            case ifKnown
            /// Decided by the engine.
            case fixed
        }
        var name: String
        var value: String
        var strength: Strength

        init(_ name: String, _ value: String, _ strength: Strength = .preference) {
            self.name = name
            self.value = value
            self.strength = strength
        }
    }

    let handle: OpaquePointer
    let bootstrap: String
    let role: Role
    private let events: ClientEvents

    /// - Parameter countsDeliveries: a producer whose delivery reports are counted in `deliveries`.
    init(
        _ configuration: KafkaConfiguration, role: Role, properties: [Property] = [], countsDeliveries: Bool = false
    ) throws {
        bootstrap = configuration.bootstrap
        self.role = role
        events = ClientEvents()
        let conf = rd_kafka_conf_new()!
        do {
            for property in properties where property.strength != .fixed {
                try Self.set(conf, property.name, property.value, ignoreUnknown: property.strength == .ifKnown)
            }
            for (name, value) in configuration.properties.sorted(by: { $0.key < $1.key }) {
                try Self.set(conf, name, value)
            }
            try Self.set(conf, "bootstrap.servers", configuration.bootstrap)
            for property in properties where property.strength == .fixed {
                try Self.set(conf, property.name, property.value)
            }
        } catch {
            rd_kafka_conf_destroy(conf)
            throw error
        }
        rd_kafka_conf_set_opaque(conf, Unmanaged.passUnretained(events).toOpaque())
        rd_kafka_conf_set_log_cb(conf) { handle, level, facility, text in
            ClientEvents.of(handle)?.logged(level: level, facility: facility, text: text)
        }
        rd_kafka_conf_set_error_cb(conf) { handle, code, text, _ in
            ClientEvents.of(handle)?.raised(rd_kafka_resp_err_t(code), text: text)
        }
        if countsDeliveries {
            rd_kafka_conf_set_dr_msg_cb(conf) { handle, message, _ in
                guard let message else { return }
                ClientEvents.of(handle)?.delivered(message.pointee.err)
            }
        }
        var text = ErrorText()
        let kind = role == .consumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
        guard let handle = text.fill({ rd_kafka_new(kind, conf, $0, $1) }) else {
            rd_kafka_conf_destroy(conf)
            throw Failure(
                .invalidSetting, "The Kafka client cannot be made", why: text.text,
                now: "correct the kafka.* settings")
        }
        self.handle = handle
    }

    deinit {
        // Without the close handshake of a group: none of our clients is a member of one.
        rd_kafka_destroy_flags(handle, Int32(RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE))
    }

    private static func set(
        _ conf: OpaquePointer, _ name: String, _ value: String, ignoreUnknown: Bool = false
    ) throws {
        var text = ErrorText()
        let result = text.fill { rd_kafka_conf_set(conf, name, value, $0, $1) }
        if result == RD_KAFKA_CONF_OK || result == RD_KAFKA_CONF_UNKNOWN && ignoreUnknown { return }
        // The library's words quote the value.
        let why = KafkaConfiguration.isSecret(name) ? "librdkafka does not take the value of this property" : text.text
        throw Failure(
            .invalidSetting, "kafka.\(name) is not a setting that librdkafka \(KafkaVersion.loaded) takes", why: why,
            now: "correct its name or value; librdkafka's CONFIGURATION.md lists them all")
    }

    /// Serves callbacks that wait; with a time limit, waits for the first one.
    @discardableResult
    func poll(timeoutMillis: Int32 = 0) -> Int { Int(rd_kafka_poll(handle, timeoutMillis)) }

    /// Counts of delivery reports since the client was made, or since they were last forgotten.
    var deliveries: Deliveries { events.deliveries }
    func forgetDeliveries() { events.forgetDeliveries() }

    /// How often a connection to a broker has failed since the client was made.
    var connectionFailures: Int { events.connectionFailures }

    /// The last thing the client said about a connection that failed; nil while none did.
    package var lastTransportError: String? { events.lastTransportError }

    /// The last login that was refused; nil while none was since the last success. One refusal alone says nothing: a broker
    /// that ends while it is asked, or has not loaded its users yet, refuses too.
    var lastAuthenticationError: String? { events.lastAuthenticationError }

    /// A broker has answered: what was remembered of connections and logins is over.
    func succeeded() { events.succeeded() }
}

/// The buffer into which librdkafka writes the reason of a failed call.
struct ErrorText {
    private var bytes = [CChar](repeating: 0, count: 512)

    mutating func fill<Result>(_ call: (UnsafeMutablePointer<CChar>, Int) -> Result) -> Result {
        bytes.withUnsafeMutableBufferPointer { call($0.baseAddress!, $0.count) }
    }

    var text: String { bytes.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } }
}

/// What became of the records handed to a producer.
struct Deliveries: Sendable, Hashable {
    var acknowledged: Int64 = 0
    var failed: Int64 = 0
    /// The code of the first failure.
    var firstError: Int32 = 0
}

/// What librdkafka's callbacks say, kept for the calls that fail afterwards.
private final class ClientEvents: Sendable {
    private struct State {
        var transportError: String?
        var authenticationError: String?
        var refusedLogins = 0
        var deliveries = Deliveries()
        var connectionFailures = 0
    }
    private let state = Mutex(State())

    static func of(_ handle: OpaquePointer?) -> ClientEvents? {
        guard let handle, let context = rd_kafka_opaque(handle) else { return nil }
        return Unmanaged<ClientEvents>.fromOpaque(context).takeUnretainedValue()
    }

    var deliveries: Deliveries { state.withLock { $0.deliveries } }
    func forgetDeliveries() { state.withLock { $0.deliveries = Deliveries() } }
    var lastTransportError: String? { state.withLock { $0.transportError } }
    var connectionFailures: Int { state.withLock { $0.connectionFailures } }
    var lastAuthenticationError: String? { state.withLock { $0.refusedLogins > 1 ? $0.authenticationError : nil } }

    func succeeded() {
        state.withLock { state in
            state.transportError = nil
            state.authenticationError = nil
            state.refusedLogins = 0
        }
    }

    func logged(level: Int32, facility: UnsafePointer<CChar>?, text: UnsafePointer<CChar>?) {
        let facility = facility.map { String(cString: $0) } ?? ""
        // "This property is for producers only": the same properties go to both kinds of client.
        if facility == "CONFWARN" { return }
        let text = text.map { Self.withoutThreadName(String(cString: $0)) } ?? ""
        if facility == "FAIL" || facility == "ERROR" && level <= 3 {
            state.withLock { state in
                state.transportError = text
                state.connectionFailures += 1
            }
        }
        Log.debug("kafka client", [("facility", facility), ("says", text)])
    }

    func raised(_ code: rd_kafka_resp_err_t, text: UnsafePointer<CChar>?) {
        guard let text else { return }
        let reason = Self.withoutThreadName(String(cString: text))
        state.withLock { state in
            switch code {
            case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
                state.authenticationError = reason
                state.refusedLogins += 1
            case RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__SSL:
                state.transportError = reason
            default: break
            }
        }
    }

    func delivered(_ code: rd_kafka_resp_err_t) {
        state.withLock { state in
            if code == RD_KAFKA_RESP_ERR_NO_ERROR {
                state.deliveries.acknowledged += 1
            } else {
                state.deliveries.failed += 1
                if state.deliveries.firstError == 0 { state.deliveries.firstError = code.rawValue }
            }
        }
    }

    /// Log lines begin with `[thrd:NAME]: `, which says nothing to a reader.
    private static func withoutThreadName(_ text: String) -> String {
        guard text.hasPrefix("[thrd:"), let end = text.range(ofText: "]: ") else { return text }
        return String(text[end...])
    }
}

extension String {
    /// The index behind the first occurrence of `text`.
    fileprivate func range(ofText text: String) -> String.Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) { return self.index(index, offsetBy: text.count) }
            index = self.index(after: index)
        }
        return nil
    }
}
