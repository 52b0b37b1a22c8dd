// Writes a request of Kafka's protocol: a header, the body's primitives, and the length before them when it is finished.
//
// The bytes are kept between requests, so that asking again and again reserves nothing.

/// What a request asks for; the protocol's numbers.
package enum WireCall: Int16, Sendable, CaseIterable {
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case saslHandshake = 17
    case apiVersions = 18
    case offsetForLeaderEpoch = 23
    case saslAuthenticate = 36

    /// The versions that we can speak.
    package var spoken: ClosedRange<Int16> {
        switch self {
        case .fetch: 4...16
        case .listOffsets: 1...7
        case .metadata: 4...13
        case .saslHandshake: 1...1
        case .apiVersions: 0...3
        case .offsetForLeaderEpoch: 3...4
        case .saslAuthenticate: 0...2
        }
    }

    /// Versions from this one on write lengths as varints and have tagged fields.
    package var flexibleFrom: Int16 {
        switch self {
        case .fetch: 12
        case .listOffsets: 6
        case .metadata: 9
        case .saslHandshake: .max
        case .apiVersions: 3
        case .offsetForLeaderEpoch: 4
        case .saslAuthenticate: 2
        }
    }

    package func isFlexible(_ version: Int16) -> Bool { version >= flexibleFrom }
}

package struct WireRequest {
    package private(set) var bytes: [UInt8] = []
    package private(set) var isFlexible = false

    package init() {}

    package mutating func begin(_ call: WireCall, version: Int16, correlation: Int32, clientID: String) {
        bytes.removeAll(keepingCapacity: true)
        isFlexible = false
        int32(0)
        int16(call.rawValue)
        int16(version)
        int32(correlation)
        text(clientID)
        isFlexible = call.isFlexible(version)
        tags()
    }

    /// Puts the length in front.
    package mutating func finish() {
        let length = UInt32(bytes.count - 4)
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index)) }
    }

    private mutating func put(_ value: UInt64, bytes count: Int) {
        var shift = UInt64(8 * count)
        while shift > 0 {
            shift -= 8
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    package mutating func int8(_ value: Int8) { bytes.append(UInt8(bitPattern: value)) }
    package mutating func int16(_ value: Int16) { put(UInt64(UInt16(bitPattern: value)), bytes: 2) }
    package mutating func int32(_ value: Int32) { put(UInt64(UInt32(bitPattern: value)), bytes: 4) }
    package mutating func int64(_ value: Int64) { put(UInt64(bitPattern: value), bytes: 8) }
    package mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }

    package mutating func topicID(_ id: TopicID) {
        put(id.high, bytes: 8)
        put(id.low, bytes: 8)
    }

    package mutating func unsignedVarint(_ value: Int) {
        var rest = UInt32(value)
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    package mutating func count(_ count: Int) {
        if isFlexible { unsignedVarint(count + 1) } else { int32(Int32(count)) }
    }

    package mutating func null() {
        if isFlexible { unsignedVarint(0) } else { int16(-1) }
    }

    package mutating func text(_ text: String) {
        if isFlexible { unsignedVarint(text.utf8.count + 1) } else { int16(Int16(clamping: text.utf8.count)) }
        bytes.append(contentsOf: text.utf8)
    }

    package mutating func blob(_ blob: [UInt8]) {
        if isFlexible { unsignedVarint(blob.count + 1) } else { int32(Int32(blob.count)) }
        bytes.append(contentsOf: blob)
    }

    /// No tagged fields.
    package mutating func tags() {
        if isFlexible { bytes.append(0) }
    }
}
