// Which versions of each call one broker and we have in common: the answer to ApiVersions. Pure.
//
// Its answer has a header without tagged fields at every version, because it is read before anything is agreed on. A broker
// that does not know the version that it was asked with answers in version 0 with error 35, and is asked again in version 0. A
// broker that lacks a call that reading needs cannot be read from; `lacking` says so with the setting that helps.

package struct BrokerVersions: Sendable, Hashable {
    private var newest: [WireCall: Int16] = [:]

    /// For tests and for brokers of which nothing is known yet.
    package init(_ newest: [WireCall: Int16]) { self.newest = newest }

    /// The version to use; nil when there is none in common.
    package func version(_ call: WireCall) -> Int16? { newest[call] }

    package enum Answer: Sendable, Hashable {
        case versions(BrokerVersions)
        case askInVersion0
        case refused(Int16)
    }

    package static let unsupportedVersion: Int16 = 35

    /// - Parameter cursor: behind the correlation id.
    package static func answer(_ cursor: inout WireCursor, version: Int16) throws(WireError) -> Answer {
        let code = try cursor.int16()
        if code == unsupportedVersion { return version == 0 ? .refused(code) : .askInVersion0 }
        if code != 0 { return .refused(code) }
        let isFlexible = WireCall.apiVersions.isFlexible(version)
        var newest: [WireCall: Int16] = [:]
        for _ in 0..<(try cursor.count(isFlexible, elementBytes: 6)) {
            let key = try cursor.int16()
            let (lowest, highest) = (try cursor.int16(), try cursor.int16())
            try cursor.tags(isFlexible)
            guard let call = WireCall(rawValue: key) else { continue }
            let common = min(highest, call.spoken.upperBound)
            if common >= max(lowest, call.spoken.lowerBound) { newest[call] = common }
        }
        return .versions(BrokerVersions(newest))
    }

    /// - Parameter version: 3, or 0 for a broker that refused 3.
    package static func ask(_ request: inout WireRequest, version: Int16) {
        guard version >= 3 else { return }
        request.text("sluice")
        // Letters, digits, dots and dashes only: a broker refuses other names.
        request.text("1.0")
        request.tags()
    }

    /// Nil when the broker can be read from.
    package func lacking() -> String? {
        for call in [WireCall.fetch, .metadata, .listOffsets] where newest[call] == nil {
            return "it has no version of \(call) from \(call.spoken.lowerBound) to \(call.spoken.upperBound)"
        }
        return nil
    }
}
