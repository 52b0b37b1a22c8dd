// How many connections may be open that have not shown who they are: pure.
//
// Each connection is a thread, and there are so many. Whoever has shown a credential once is no stranger any more. Strangers
// have a small budget of their own, and a new one is always let in: the oldest of them goes for it, first of the same
// address, then of the address that has the most. So whoever opens sockets and says nothing, or says it slowly, closes his
// own, and a worker or a command that comes with its credential gets its answer.

package struct StrangerBudget: Sendable {
    private struct Stranger {
        var socket: Int32
        var address: [UInt8]
    }

    private let most: Int
    private let mostPerAddress: Int
    /// The oldest first.
    private var strangers: [Stranger] = []

    /// - Parameter most: of all; of one address it may be half of that.
    package init(most: Int) {
        self.most = most
        mostPerAddress = max(1, most / 2)
    }

    package var count: Int { strangers.count }

    /// A connection was opened.
    /// - Returns: the one that is to be closed for it.
    package mutating func opened(_ socket: Int32, from address: [UInt8]) -> Int32? {
        var byAddress: [[UInt8]: Int] = [:]
        for stranger in strangers { byAddress[stranger.address, default: 0] += 1 }
        var gone: Int?
        if byAddress[address] ?? 0 >= mostPerAddress {
            gone = strangers.firstIndex { $0.address == address }
        } else if strangers.count >= most {
            let largest = byAddress.values.max() ?? 0
            gone = strangers.firstIndex { byAddress[$0.address] == largest }
        }
        strangers.append(Stranger(socket: socket, address: address))
        return gone.map { strangers.remove(at: $0).socket }
    }

    /// It has shown a credential.
    package mutating func known(_ socket: Int32) { closed(socket) }

    package mutating func closed(_ socket: Int32) {
        if let index = strangers.firstIndex(where: { $0.socket == socket }) { strangers.remove(at: index) }
    }
}
