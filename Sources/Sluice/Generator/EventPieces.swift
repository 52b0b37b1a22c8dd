// The ready-made pieces that an encoded ad event is put together from.
//
// In both formats an event is: user piece, page piece, ad piece, types piece, the event time, address piece. Everything
// but the time comes from a small pool, so it is rendered once, with the syntax around it, and an event is five copies
// and a number. A piece has a slot of 64 bytes; copying the whole slot and advancing by the piece's length is quicker
// than a copy of exact length, and the next piece overwrites the rest.
//
// Avro is encoded here by hand, with Confluent's framing, and shares nothing with the engine's decoder: each of the two
// is the check of the other. Field order: user_id, page_id, ad_id, ad_type, event_type, event_time, ip_address.
//
// What it does not decide: which piece an event takes (`AdEventGenerator`).

struct EventPieces: Sendable {
    static let slot = 64
    static let users = 4096
    static let pages = 1024
    static let addresses = 1024
    static let adTypes = ["banner", "modal", "sponsored-search", "mail", "mobile"]
    static let eventTypes = ["view", "click", "purchase"]
    /// Types pieces `0 ..< viewTypes` are those of views.
    static let viewTypes = adTypes.count

    /// All slots: users, pages, ads (known, then unknown), types (event type major), addresses.
    let slots: [UInt8]
    /// The lengths of the pieces in types and addresses; the others have one length each.
    let lengths: [UInt8]
    let userLength, pageLength, adLength: Int
    let firstPage, firstAd, firstTypes, firstAddress: Int

    init(format: AdEventFormat, schemaID: Int32, seed: UInt64, directory: AdDirectory) {
        let users = SeededDraws(seed: seed, .users)
        let pages = SeededDraws(seed: seed, .pages)
        let addresses = SeededDraws(seed: seed, .addresses)
        var slots: [UInt8] = []
        var lengths: [UInt8] = []
        var last = 0
        func add(_ piece: [UInt8]) {
            precondition(piece.count <= Self.slot, "a piece of \(piece.count) bytes does not fit its slot")
            slots += piece
            slots += [UInt8](repeating: 0, count: Self.slot - piece.count)
            lengths.append(UInt8(piece.count))
            last = piece.count
        }
        func addressText(_ index: Int) -> String {
            let bits = addresses.draw(index)
            return (0..<4).map { String(bits >> UInt64(8 * $0) & 255) }.joined(separator: ".")
        }
        let known = directory.adIDs
        firstPage = Self.users
        firstAd = firstPage + Self.pages
        firstTypes = firstAd + known.count + AdDirectory.unknownAds
        firstAddress = firstTypes + Self.adTypes.count * Self.eventTypes.count
        slots.reserveCapacity((firstAddress + Self.addresses) * Self.slot)

        let form: any PieceForm = format == .avro ? AvroForm(schemaID: schemaID) : JSONForm()
        for index in 0..<Self.users { add(form.user(users.uuid(index))) }
        userLength = last
        for index in 0..<Self.pages { add(form.page(pages.uuid(index))) }
        pageLength = last
        for id in known + directory.unknownAdIDs { add(form.ad(id)) }
        adLength = last
        for eventType in Self.eventTypes {
            for adType in Self.adTypes { add(form.types(adType, eventType)) }
        }
        for index in 0..<Self.addresses { add(form.address(addressText(index))) }
        self.slots = slots
        self.lengths = lengths
    }
}

private protocol PieceForm {
    func user(_ id: [UInt8]) -> [UInt8]
    func page(_ id: [UInt8]) -> [UInt8]
    func ad(_ id: [UInt8]) -> [UInt8]
    func types(_ adType: String, _ eventType: String) -> [UInt8]
    func address(_ text: String) -> [UInt8]
}

private struct AvroForm: PieceForm {
    let schemaID: Int32

    /// A length below 64 is one byte: twice the length (zigzag).
    private func text(_ bytes: [UInt8]) -> [UInt8] { [UInt8(2 * bytes.count)] + bytes }

    func user(_ id: [UInt8]) -> [UInt8] {
        let number = UInt32(bitPattern: schemaID)
        return [0] + [24, 16, 8, 0].map { UInt8(number >> UInt32($0) & 255) } + text(id)
    }
    func page(_ id: [UInt8]) -> [UInt8] { text(id) }
    func ad(_ id: [UInt8]) -> [UInt8] { text(id) }
    func types(_ adType: String, _ eventType: String) -> [UInt8] {
        text(Array(adType.utf8)) + text(Array(eventType.utf8))
    }
    func address(_ address: String) -> [UInt8] { text(Array(address.utf8)) }
}

private struct JSONForm: PieceForm {
    func user(_ id: [UInt8]) -> [UInt8] { Array(#"{"user_id":""#.utf8) + id + Array(#"","#.utf8) }
    func page(_ id: [UInt8]) -> [UInt8] { Array(#""page_id":""#.utf8) + id + Array(#"","#.utf8) }
    func ad(_ id: [UInt8]) -> [UInt8] { Array(#""ad_id":""#.utf8) + id + Array(#"","ad_type":"#.utf8) }
    func types(_ adType: String, _ eventType: String) -> [UInt8] {
        Array("\"\(adType)\",\"event_type\":\"\(eventType)\",\"event_time\":".utf8)
    }
    func address(_ address: String) -> [UInt8] { Array(",\"ip_address\":\"\(address)\"}".utf8) }
}
