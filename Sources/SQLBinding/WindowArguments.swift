// Windows of time in FROM: `tumble(t, ts, size)`, `hop(t, ts, slide, size)`, `cumulate(t, ts, step, size)`, `session(t, ts, gap, key...)`.
//
// What is wrong with a window is known before the first batch: its lengths are constants above zero, without months, the slide is no longer
// than the size, the size is a multiple of the step, the time is the event time of what is read.

import SQLSyntax
import Values
import Wording

private enum WindowFunction: String, CaseIterable {
    case tumble, hop, cumulate, session

    var signature: String {
        switch self {
        case .tumble: "tumble(table, column, size)"
        case .hop: "hop(table, column, slide, size)"
        case .cumulate: "cumulate(table, column, step, size)"
        case .session: "session(table, column, gap, key, ...)"
        }
    }

    /// How many lengths stand behind the column.
    var lengths: Int { self == .hop || self == .cumulate ? 2 : 1 }
}

extension QueryBinder {
    /// A function in FROM.
    func windowed(_ call: FunctionCall) throws(SQLFault) -> Relation {
        let place = call.name.place
        guard let function = WindowFunction(rawValue: call.name.text) else {
            if call.name.text == "generate_series" || call.name.text == "unnest" { throw notYet("\(call.name.text) in FROM", at: place) }
            throw SQLFault(
                "there is no function \"\(call.name.text)\" in FROM", at: place, why: "functions in FROM are windows of time",
                hint: nearestHint(to: call.name.text, among: WindowFunction.allCases.map(\.rawValue), kind: "function"))
        }
        let plain = call.arguments.filter { $0.name == nil }
        let wanted = 2 + function.lengths
        guard plain.count == wanted || (function == .session && plain.count > wanted), case .column(let path) = plain[0].value.kind, path.count == 1 else {
            throw SQLFault("\(call.name.text) with other arguments", at: place, why: "it is \(function.signature)", hint: "give it a table, its event time, and lengths of time")
        }
        let relation = try table(path[0])
        let scope = Scope(tables: [Scope.columns(of: relation, named: path[0].text)], outer: nil)
        let binder = ExpressionBinder(scope: scope, clause: .from, surroundings: nil, builder: builder)
        guard case .column(let time, let type) = try binder.bind(plain[1].value), type == .timestamptz || type == .timestamp else {
            throw SQLFault(
                "the time of \(call.name.text) is no column of timestamps", at: plain[1].value.place, why: "rows fall into windows by one",
                hint: "name a column of type timestamptz")
        }
        guard relation.columns[time].eventTime > .none else {
            throw SQLFault(
                "\(call.name.text) over a column without a watermark", at: plain[1].value.place,
                why: "\"\(relation.columns[time].name)\" is not the event time of what is read, so no window would ever end",
                hint: "declare event_time = '\(relation.columns[time].name)' in WITH of the table")
        }
        var lengths: [Int64] = []
        for argument in plain[2..<wanted] { lengths.append(try WindowArguments.length(argument.value, "a length of \(call.name.text)", binder: binder)) }
        var keys: [BoundExpression] = []
        for argument in plain[wanted...] {
            let key = try binder.bind(argument.value)
            keys.append(
                try fitting { () throws(BindError) in try builder.coerce(key, to: key.type == .unknown ? .text : key.type, context: .implicit, at: argument.value.place.offset) })
        }
        let shape = try function.shape(lengths, keys, at: plain[2].value.place)
        return relation.windowed(TimeWindow(shape: shape, time: time, origin: try origin(call, type, binder)))
    }

    private func origin(_ call: FunctionCall, _ type: SQLType, _ binder: ExpressionBinder) throws(SQLFault) -> Int64 {
        var origin: Int64 = 0
        for argument in call.arguments {
            guard let name = argument.name else { continue }
            guard name.text == "origin", call.name.text != "session" else {
                throw SQLFault(
                    "\(call.name.text) has no argument \"\(name.text)\"", at: name.place, why: "the one that has a name is origin, and a session has none",
                    hint: "write origin => timestamptz '2020-01-01T00:00:00Z', or leave it out")
            }
            let value = try binder.bind(argument.value)
            let constant = try fitting { () throws(BindError) in try builder.coerce(value, to: type, context: .implicit, at: argument.value.place.offset) }
            guard case .constant(.word(let micros), _) = constant else {
                throw SQLFault("an origin that is no constant", at: argument.value.place, why: "all windows of a query are aligned alike", hint: "write timestamptz '...'")
            }
            guard WindowArguments.reach ~= micros else {
                throw SQLFault("an origin that is too far away", at: argument.value.place, why: "it is more than 73,000 years from 1970", hint: "choose a nearer one")
            }
            origin = micros
        }
        return origin
    }
}

extension WindowFunction {
    fileprivate func shape(_ lengths: [Int64], _ keys: [BoundExpression], at place: Place) throws(SQLFault) -> TimeWindow.Shape {
        switch self {
        case .tumble: return .tumble(size: lengths[0])
        case .session: return .session(gap: lengths[0], keys: keys)
        case .hop:
            try WindowArguments.checkCount(lengths[1] / lengths[0], "hop", at: place)
            guard lengths[0] <= lengths[1] else {
                throw SQLFault(
                    "a slide longer than its window", at: place, why: "rows between two windows would be in none", hint: "the slide comes first: hop(table, column, slide, size)")
            }
            return .hop(slide: lengths[0], size: lengths[1])
        case .cumulate:
            guard lengths[1] % lengths[0] == 0 else {
                throw SQLFault(
                    "a size that is no multiple of its step", at: place, why: "the last step would go over the window's end", hint: "choose a step that divides the size")
            }
            try WindowArguments.checkCount(lengths[1] / lengths[0], "cumulate", at: place)
            return .cumulate(step: lengths[0], size: lengths[1])
        }
    }
}

enum WindowArguments {
    /// A hundred years.
    private static let longest: Int64 = 36_525 * 86_400_000_000
    private static let mostWindows: Int64 = 10_000
    static let reach: ClosedRange<Int64> = -(1 << 61)...1 << 61

    /// A row is copied once for each window that it falls into.
    fileprivate static func checkCount(_ windows: Int64, _ function: String, at place: Place) throws(SQLFault) {
        guard windows > mostWindows else { return }
        throw SQLFault(
            "\(function) puts each row into \(windows) windows", at: place, why: "a row is copied into each, and \(mostWindows) are the most",
            hint: "choose a longer first length, or a shorter window")
    }

    /// A constant length of time in microseconds.
    static func length(_ syntax: ExpressionSyntax, _ what: String, binder: ExpressionBinder) throws(SQLFault) -> Int64 {
        let value = try binder.bind(syntax)
        let constant = try fitting { () throws(BindError) in try binder.builder.coerce(value, to: .interval, context: .implicit, at: syntax.place.offset) }
        guard case .constant(.interval(let interval), _) = constant else {
            throw SQLFault("\(what) is no constant", at: syntax.place, why: "windows have one length for all rows", hint: "write interval '1 minute'")
        }
        guard let length = micros(of: interval) else {
            if interval.months != 0 {
                throw SQLFault("\(what) has months or years", at: syntax.place, why: "they have no fixed length", hint: "group by date_trunc('month', column, 'zone')")
            }
            throw SQLFault("\(what) is not above zero", at: syntax.place, why: "a window without a length has no rows", hint: "write interval '1 minute'")
        }
        guard length <= longest else {
            throw SQLFault("\(what) is too long", at: syntax.place, why: "it is more than a hundred years", hint: "group without a window")
        }
        return length
    }
}
