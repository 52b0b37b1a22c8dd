// Rings bells when sockets become readable: one thread a process, asleep while nothing comes.
//
// A fetching reader has no thread of its own: it works when somebody calls it. Whoever waits for records waits for a bell, and
// this watch rings it when the answer to the fetch under way begins to come. A socket is watched once each time: the
// reader takes what came and watches again.
//
// A descriptor is forgotten before it is closed, because the next socket may get the same number.

import CLinux
import Foundation
import Glibc
import Synchronization

package final class ArrivalWatch: Sendable {
    package static let shared = ArrivalWatch()

    private let poll: Int32
    private struct State {
        var bells: [Int32: ArrivalBell] = [:]
        var isRunning = false
    }
    private let state = Mutex(State())

    private init() { poll = epoll_create1(Int32(EPOLL_CLOEXEC)) }

    /// Rings the bell once when the descriptor has something to read.
    package func watch(_ descriptor: Int32, _ bell: ArrivalBell) {
        let starts = state.withLock { state in
            let isNew = state.bells.updateValue(bell, forKey: descriptor) == nil
            var event = epoll_event(
                events: EPOLLIN.rawValue | EPOLLONESHOT.rawValue | EPOLLRDHUP.rawValue, data: epoll_data(fd: descriptor))
            if !isNew, epoll_ctl(poll, EPOLL_CTL_MOD, descriptor, &event) == 0 { return false }
            epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if starts { start() }
    }

    package func forget(_ descriptor: Int32) {
        state.withLock { state in
            guard state.bells.removeValue(forKey: descriptor) != nil else { return }
            epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, nil)
        }
    }

    private func start() {
        let thread = Thread { [self] in
            var events = [epoll_event](repeating: epoll_event(), count: 64)
            while true {
                let count = epoll_wait(poll, &events, Int32(events.count), -1)
                guard count > 0 else { continue }
                let bells = state.withLock { state in events[..<Int(count)].compactMap { state.bells[$0.data.fd] } }
                for bell in bells { bell.ring() }
            }
        }
        thread.name = "kafka arrivals"
        thread.stackSize = 256 << 10
        thread.start()
    }
}
