// Casts: which type becomes which, when, and by which kernel.
//
// A cast is an overload named `cast` with one argument, so a bound expression knows only calls. The list is `pg_cast` for our
// types, and beside it the casts through text that PostgreSQL makes by itself: every type to text (assignment) and text to
// every type (explicit).

/// A cast and when it may be taken.
struct Cast: Sendable {
    let context: CastContext
    let overload: Overload
}

enum Casts {
    /// The cast from one type to another, if there is one.
    static func find(from source: SQLType, to target: SQLType) -> Cast? { table[[source, target]] }

    /// The value as its type's output writes it.
    static func output(of type: SQLType) -> Overload {
        overload("output", [type], .text) { call in
            let type = type
            call.writeText(type)
        }
    }

    private static let table: [[SQLType]: Cast] = {
        var casts: [[SQLType]: Cast] = [:]
        func add(_ source: SQLType, _ target: SQLType, _ context: CastContext, fails: Bool = false, _ kernel: @escaping Overload.Kernel) {
            casts[[source, target]] = Cast(
                context: context, overload: overload("cast", [source], target, fails: fails, kernel))
        }
        addNumberCasts(add)
        addTimeCasts(add)
        addTextCasts(add)
        addJSONCasts(add)
        return casts
    }()

    typealias Adder = (SQLType, SQLType, CastContext, _ fails: Bool, @escaping Overload.Kernel) -> Void

    static func overload(
        _ name: String, _ arguments: [SQLType], _ result: SQLType, fails: Bool = false, volatility: Overload.Volatility = .immutable,
        _ kernel: @escaping Overload.Kernel
    ) -> Overload {
        Overload(
            name: name, arguments: arguments, takesMore: false, result: result, nulls: .strict, volatility: volatility, canFail: fails,
            kernel: kernel)
    }
}
