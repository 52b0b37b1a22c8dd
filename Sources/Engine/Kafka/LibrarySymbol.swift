// Functions of librdkafka that the headers we build against may not have yet: looked up in the running process.
//
// Where the loaded library lacks one, what it would tell is unknown, which every caller must be able to live with. The
// signatures are the library's documented ones and must be kept in step by hand.

import CRdKafka
import Glibc

enum LibrarySymbol {
    static func find<Function>(_ name: String, _ type: Function.Type) -> Function? {
        guard let process = dlopen(nil, RTLD_NOW), let address = dlsym(process, name) else { return nil }
        return unsafeBitCast(address, to: type)
    }
}

/// The leader's epoch beside an offset, since librdkafka 2.1.
enum LeaderEpochs {
    private typealias Get = @convention(c) (UnsafePointer<rd_kafka_topic_partition_t>?) -> Int32
    private static let get = LibrarySymbol.find("rd_kafka_topic_partition_get_leader_epoch", Get.self)

    /// Nil where broker or library do not tell it.
    static func of(_ list: UnsafePointer<rd_kafka_topic_partition_list_t>, _ index: Int) -> Int32? {
        guard let get, index < Int(list.pointee.cnt) else { return nil }
        let epoch = get(list.pointee.elems + index)
        return epoch < 0 ? nil : epoch
    }
}
