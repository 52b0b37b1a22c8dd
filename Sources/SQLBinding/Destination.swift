// Whether two outputs of a job are one thing in the world: then rows of both would meet under one key.

/// Where rows of an output come to lie in the world: two names may be one table, or one topic.
struct Destination {
    enum Kind: Hashable {
        case topic(String)
        case table(Connector, url: String, name: String)
        /// In the job's sink, whose address is not known here.
        case view(String)
    }

    let name: String
    let kind: Kind
    let isKeyed: Bool

    init(name: String, kind: Kind, isKeyed: Bool) { (self.name, self.kind, self.isKeyed) = (name, kind, isKeyed) }

    /// Nil where nothing is kept.
    init?(_ table: TableDefinition) {
        switch table.connector {
        case .console, .discard: return nil
        case .kafka: kind = .topic(table.options[.topic] ?? "")
        case .postgres, .sqlite: kind = .table(table.connector, url: table.options[.url] ?? "", name: table.options[.table] ?? "")
        }
        (name, isKeyed) = (table.name, !table.key.isEmpty)
    }

    func isSame(as other: Destination) -> Bool {
        switch (kind, other.kind) {
        case (.view(let view), .table(_, _, let table)), (.table(_, _, let table), .view(let view)): view == table
        default: kind == other.kind
        }
    }
}
