// Expressions out of libpg_query's tree.

import CPGQuery

extension TreeReader {
    mutating func expressions(_ nodes: [NodePointer], at place: Place) throws(SQLFault) -> [ExpressionSyntax] {
        var result: [ExpressionSyntax] = []
        for node in nodes { result.append(try expression(node, at: place)) }
        return result
    }

    mutating func optional(_ node: NodePointer?, at place: Place) throws(SQLFault) -> ExpressionSyntax? {
        guard let node else { return nil }
        return try expression(node, at: place)
    }

    /// - Parameter around: the place of the node around it, for nodes that have none of their own.
    mutating func expression(_ node: NodePointer?, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        guard let node else { throw notYet("an empty expression", at: around) }
        return try nested(around) { reader throws(SQLFault) in try reader.expressionLevel(node, at: around) }
    }

    private mutating func expressionLevel(_ node: NodePointer, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_A_CONST:
            let place = place(node.pointee.a_const.pointee.location, or: around)
            return ExpressionSyntax(.literal(try literal(node.pointee.a_const.pointee, at: place)), at: place)
        case PG_QUERY__NODE__NODE_COLUMN_REF: return try column(node.pointee.column_ref.pointee, at: around)
        case PG_QUERY__NODE__NODE_TYPE_CAST:
            let cast = node.pointee.type_cast.pointee
            let type = try type(cast.type_name.pointee)
            let place = place(cast.location, or: type.place)
            return ExpressionSyntax(.cast(try expression(cast.arg, at: place), to: type), at: place)
        case PG_QUERY__NODE__NODE_A_EXPR: return try operation(node.pointee.a_expr.pointee, at: around)
        case PG_QUERY__NODE__NODE_BOOL_EXPR: return try logic(node.pointee.bool_expr.pointee, at: around)
        case PG_QUERY__NODE__NODE_FUNC_CALL:
            let call = try call(node.pointee.func_call.pointee, at: around)
            return ExpressionSyntax(.call(call), at: call.name.place)
        case PG_QUERY__NODE__NODE_SUB_LINK: return try subquery(node.pointee.sub_link.pointee, at: around)
        case PG_QUERY__NODE__NODE_CASE_EXPR: return try caseExpression(node.pointee.case_expr.pointee, at: around)
        case PG_QUERY__NODE__NODE_COALESCE_EXPR:
            let coalesce = node.pointee.coalesce_expr.pointee
            let place = place(coalesce.location, or: around)
            return ExpressionSyntax(.conditional(.coalesce, try expressions(nodes(coalesce.args, coalesce.n_args), at: place)), at: place)
        case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
            let extreme = node.pointee.min_max_expr.pointee
            let place = place(extreme.location, or: around)
            let kind: Conditional = extreme.op == PG_QUERY__MIN_MAX_OP__IS_LEAST ? .least : .greatest
            return ExpressionSyntax(.conditional(kind, try expressions(nodes(extreme.args, extreme.n_args), at: place)), at: place)
        case PG_QUERY__NODE__NODE_NULL_TEST:
            let test = node.pointee.null_test.pointee
            let place = place(test.location, or: around)
            let isNegated = test.nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL
            return ExpressionSyntax(.isNull(try expression(test.arg, at: place), isNegated: isNegated), at: place)
        case PG_QUERY__NODE__NODE_BOOLEAN_TEST: return try truthTest(node.pointee.boolean_test.pointee, at: around)
        case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
            let array = node.pointee.a_array_expr.pointee
            let place = place(array.location, or: around)
            return ExpressionSyntax(.array(try expressions(nodes(array.elements, array.n_elements), at: place)), at: place)
        case PG_QUERY__NODE__NODE_ROW_EXPR:
            let row = node.pointee.row_expr.pointee
            let place = place(row.location, or: around)
            return ExpressionSyntax(.row(try expressions(nodes(row.args, row.n_args), at: place)), at: place)
        case PG_QUERY__NODE__NODE_A_INDIRECTION: return try part(node.pointee.a_indirection.pointee, at: around)
        case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: return try valueFunction(node.pointee.sqlvalue_function.pointee, at: around)
        case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
            let collate = node.pointee.collate_clause.pointee
            let place = place(collate.location, or: around)
            let name = try name(nodes(collate.collname, collate.n_collname), at: place, kind: "collation")
            guard name.text == "C" else { throw notYet("COLLATE \"\(name.text)\"", at: place, hint: "text compares by its bytes, as COLLATE \"C\" has it") }
            return try expression(collate.arg, at: place)
        case PG_QUERY__NODE__NODE_PARAM_REF:
            throw outOfPlace(
                "$\(node.pointee.param_ref.pointee.number)", at: place(node.pointee.param_ref.pointee.location, or: around),
                why: "nobody gives parameters by number", hint: "write ${name}, and give its value at the start")
        case PG_QUERY__NODE__NODE_SET_TO_DEFAULT: throw notYet("DEFAULT as a value", at: place(node.pointee.set_to_default.pointee.location, or: around))
        case PG_QUERY__NODE__NODE_GROUPING_FUNC: throw notYet("GROUPING", at: place(node.pointee.grouping_func.pointee.location, or: around))
        case PG_QUERY__NODE__NODE_XML_EXPR, PG_QUERY__NODE__NODE_XML_SERIALIZE: throw notYet("XML", at: around)
        default: throw notYet("this expression", at: around)
        }
    }

    func literal(_ constant: PgQuery__AConst, at place: Place) throws(SQLFault) -> Literal {
        if constant.isnull != 0 { return .null }
        switch constant.val_case {
        case PG_QUERY__A__CONST__VAL_IVAL: return .number(String(constant.ival.pointee.ival))
        case PG_QUERY__A__CONST__VAL_FVAL: return .number(String(cString: constant.fval.pointee.fval))
        case PG_QUERY__A__CONST__VAL_BOOLVAL: return .boolean(constant.boolval.pointee.boolval != 0)
        case PG_QUERY__A__CONST__VAL_SVAL: return .text(String(cString: constant.sval.pointee.sval))
        case PG_QUERY__A__CONST__VAL_BSVAL: throw notYet("a literal of bits", at: place, hint: "write bytes as '\\x...'::bytea")
        default: return .null
        }
    }

    private func column(_ column: PgQuery__ColumnRef, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(column.location, or: around)
        let fields = nodes(column.fields, column.n_fields)
        if fields.last?.pointee.node_case == PG_QUERY__NODE__NODE_A_STAR {
            throw notYet("* as a value", at: place, hint: "name the columns")
        }
        return ExpressionSyntax(.column(try names(fields, at: place)), at: place)
    }

    private mutating func logic(_ logic: PgQuery__BoolExpr, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(logic.location, or: around)
        let sides = try expressions(nodes(logic.args, logic.n_args), at: place)
        switch logic.boolop {
        case PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR: return ExpressionSyntax(.and(sides), at: place)
        case PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR: return ExpressionSyntax(.or(sides), at: place)
        default: return ExpressionSyntax(.not(sides[0]), at: place)
        }
    }

    private mutating func truthTest(_ test: PgQuery__BooleanTest, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(test.location, or: around)
        let operand = try expression(test.arg, at: place)
        let (truth, isNegated): (Truth, Bool) =
            switch test.booltesttype {
            case PG_QUERY__BOOL_TEST_TYPE__IS_TRUE: (.isTrue, false)
            case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE: (.isTrue, true)
            case PG_QUERY__BOOL_TEST_TYPE__IS_FALSE: (.isFalse, false)
            case PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE: (.isFalse, true)
            case PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN: (.isUnknown, false)
            default: (.isUnknown, true)
            }
        return ExpressionSyntax(.isTruth(operand, truth, isNegated: isNegated), at: place)
    }

    private mutating func caseExpression(_ expression: PgQuery__CaseExpr, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(expression.location, or: around)
        let operand = try optional(expression.arg, at: place)
        var branches: [CaseBranch] = []
        for node in nodes(expression.args, expression.n_args) where node.pointee.node_case == PG_QUERY__NODE__NODE_CASE_WHEN {
            let when = node.pointee.case_when.pointee
            let place = self.place(when.location, or: place)
            branches.append(CaseBranch(when: try self.expression(when.expr, at: place), then: try self.expression(when.result, at: place)))
        }
        let otherwise = try optional(expression.defresult, at: place)
        return ExpressionSyntax(operand.map { .simpleCase($0, branches, otherwise: otherwise) } ?? .searchedCase(branches, otherwise: otherwise), at: place)
    }

    /// `CURRENT_DATE` and its like are functions that are called without brackets.
    private func valueFunction(_ function: PgQuery__SQLValueFunction, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(function.location, or: around)
        let name: String
        switch function.op {
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP: name = "current_timestamp"
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE: name = "current_date"
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP: name = "localtimestamp"
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME: name = "localtime"
        case PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME, PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N,
            PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N, PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N,
            PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N:
            throw notYet("CURRENT_TIME, or a current time with a precision", at: place, hint: "write now(), cast where need be: CAST(now() AS timestamptz(3))")
        default: throw outOfPlace("the name of a user or a database", at: place, why: "a job runs for nobody in particular", hint: "write a literal, or ${name}")
        }
        return ExpressionSyntax(.call(FunctionCall(Identifier(name, at: place), [])), at: place)
    }

    private mutating func part(_ part: PgQuery__AIndirection, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        var result = try expression(part.arg, at: around)
        var indices: [ExpressionSyntax] = []
        let place = result.place
        for node in nodes(part.indirection, part.n_indirection) {
            switch node.pointee.node_case {
            case PG_QUERY__NODE__NODE_A_INDICES:
                if node.pointee.a_indices.pointee.is_slice != 0 { throw notYet("a slice of an array", at: place, hint: "name single elements") }
                indices.append(try expression(node.pointee.a_indices.pointee.uidx, at: place))
            case PG_QUERY__NODE__NODE_STRING:
                if !indices.isEmpty { result = ExpressionSyntax(.element(result, indices), at: place) }
                indices = []
                result = ExpressionSyntax(.field(result, Identifier(String(cString: node.pointee.string.pointee.sval), at: place)), at: place)
            default: throw notYet("* of a row", at: place, hint: "name the fields")
            }
        }
        return indices.isEmpty ? result : ExpressionSyntax(.element(result, indices), at: place)
    }

    private mutating func subquery(_ link: PgQuery__SubLink, at around: Place) throws(SQLFault) -> ExpressionSyntax {
        let place = place(link.location, or: around)
        let operand = try optional(link.testexpr, at: place)
        let query = try query(selectStatement(link.subselect, at: place), at: place)
        let sign = try link.n_oper_name == 0 ? nil : name(nodes(link.oper_name, link.n_oper_name), at: place, kind: "operator").text
        switch (link.sub_link_type, operand) {
        case (PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK, nil): return ExpressionSyntax(.exists(query), at: place)
        case (PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK, nil): return ExpressionSyntax(.scalar(query), at: place)
        case (PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK, let operand?):
            // `x IN (...)` and `x = ANY (...)` mean the same.
            let isIn = sign == nil || sign == "="
            return ExpressionSyntax(isIn ? .inQuery(operand, query) : .quantifiedQuery(operand, sign ?? "=", .any, query), at: place)
        case (PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK, let operand?): return ExpressionSyntax(.quantifiedQuery(operand, sign ?? "=", .all, query), at: place)
        case (PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK, _): throw notYet("ARRAY(SELECT ...)", at: place, hint: "aggregate with array_agg")
        default: throw notYet("this subquery", at: place)
        }
    }

    mutating func call(_ call: PgQuery__FuncCall, at around: Place) throws(SQLFault) -> FunctionCall {
        let place = place(call.location, or: around)
        let name = try name(nodes(call.funcname, call.n_funcname), at: place, kind: "function")
        if call.func_variadic != 0 { throw notYet("VARIADIC", at: place, hint: "write the arguments one by one") }
        var arguments: [FunctionCall.Argument] = []
        for node in nodes(call.args, call.n_args) {
            if node.pointee.node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR {
                let named = node.pointee.named_arg_expr.pointee
                let place = self.place(named.location, or: place)
                arguments.append(.init(try expression(named.arg, at: place), name: Identifier(String(cString: named.name), at: place)))
            } else {
                arguments.append(.init(try expression(node, at: place)))
            }
        }
        return FunctionCall(
            name, arguments, isStar: call.agg_star != 0, isDistinct: call.agg_distinct != 0,
            order: try order(nodes(call.agg_order, call.n_agg_order), at: place), isWithinGroup: call.agg_within_group != 0,
            filter: try optional(call.agg_filter, at: place), window: try window(call.over, at: place))
    }

    private mutating func window(_ pointer: UnsafeMutablePointer<PgQuery__WindowDef>?, at around: Place) throws(SQLFault) -> FunctionCall.Window? {
        guard let window = pointer?.pointee else { return nil }
        let place = place(window.location, or: around)
        if window.name.isPresent || window.refname.isPresent { throw notYet("a named window", at: place, hint: "write its clauses in OVER (...)") }
        let isFramed = window.frame_options & Self.frameIsGiven != 0
        if isFramed {
            throw notYet("OVER with frames", at: place, hint: "use row_number, rank or dense_rank, or group the rows by a window of time")
        }
        return FunctionCall.Window(
            partition: try expressions(nodes(window.partition_clause, window.n_partition_clause), at: place),
            order: try order(nodes(window.order_clause, window.n_order_clause), at: place), at: place)
    }

    /// PostgreSQL's FRAMEOPTION_NONDEFAULT.
    private static let frameIsGiven: Int32 = 1
}
