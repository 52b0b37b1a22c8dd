// Queries out of libpg_query's tree.

import CPGQuery

typealias SelectPointer = UnsafeMutablePointer<PgQuery__SelectStmt>

extension TreeReader {
    func selectStatement(_ node: NodePointer?, at place: Place) throws(SQLFault) -> SelectPointer {
        guard let node, node.pointee.node_case == PG_QUERY__NODE__NODE_SELECT_STMT else {
            throw outOfPlace("a statement that changes rows", at: place, why: "only a SELECT gives rows here", hint: "write SELECT")
        }
        return node.pointee.select_stmt
    }

    /// - Parameter place: where the query begins, as far as the tree around it knows: a SELECT has no location of its own.
    mutating func query(_ pointer: SelectPointer, at place: Place) throws(SQLFault) -> Query {
        try nested(place) { reader throws(SQLFault) in try reader.queryLevel(pointer.pointee, at: place) }
    }

    private mutating func queryLevel(_ select: PgQuery__SelectStmt, at place: Place) throws(SQLFault) -> Query {
        if select.n_locking_clause > 0 { throw outOfPlace("FOR UPDATE", at: place, why: "a stream has no row to lock", hint: "leave it out") }
        if select.limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES {
            throw notYet("WITH TIES", at: place, hint: "filter rank() OVER (...) in a query around it")
        }
        let body: Query.Body
        switch select.op {
        case PG_QUERY__SET_OPERATION__SETOP_UNION:
            body = .union(try query(select.larg, at: place), try query(select.rarg, at: place), isAll: select.all != 0)
        case PG_QUERY__SET_OPERATION__SETOP_INTERSECT: throw notYet("INTERSECT", at: place, hint: "write it with IN or EXISTS")
        case PG_QUERY__SET_OPERATION__SETOP_EXCEPT: throw notYet("EXCEPT", at: place, hint: "write it with NOT EXISTS")
        default: body = select.n_values_lists > 0 ? .values(try rows(select, at: place)) : .select(try block(select, at: place))
        }
        return Query(
            with: try commonTables(select.with_clause), body: body, order: try order(nodes(select.sort_clause, select.n_sort_clause), at: place),
            limit: try bound(select.limit_count, at: place), offset: try bound(select.limit_offset, at: place), at: place)
    }

    /// LIMIT ALL is none.
    private mutating func bound(_ node: NodePointer?, at place: Place) throws(SQLFault) -> ExpressionSyntax? {
        guard let bound = try optional(node, at: place), bound.kind != .literal(.null) else { return nil }
        return bound
    }

    private mutating func rows(_ select: PgQuery__SelectStmt, at place: Place) throws(SQLFault) -> [[ExpressionSyntax]] {
        var rows: [[ExpressionSyntax]] = []
        for row in nodes(select.values_lists, select.n_values_lists) {
            rows.append(try expressions(row.listItems, at: place))
            if rows[rows.count - 1].count != rows[0].count {
                throw SQLFault(
                    "rows of VALUES of different lengths", at: rows[rows.count - 1].first?.place ?? place,
                    why: "the first has \(rows[0].count) columns, this one \(rows[rows.count - 1].count)", hint: "give all rows the same columns")
            }
        }
        return rows
    }

    private mutating func commonTables(_ clause: UnsafeMutablePointer<PgQuery__WithClause>?) throws(SQLFault) -> [CommonTable] {
        guard let clause = clause?.pointee else { return [] }
        if clause.recursive != 0 { throw notYet("WITH RECURSIVE", at: place(clause.location)) }
        var tables: [CommonTable] = []
        for node in nodes(clause.ctes, clause.n_ctes) where node.pointee.node_case == PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR {
            let table = node.pointee.common_table_expr.pointee
            let place = self.place(table.location)
            if table.search_clause != nil || table.cycle_clause != nil { throw notYet("SEARCH or CYCLE", at: place) }
            let columns = try names(nodes(table.aliascolnames, table.n_aliascolnames), at: place)
            let query = try query(selectStatement(table.ctequery, at: place), at: place)
            tables.append(CommonTable(name: Identifier(String(cString: table.ctename), at: place), columns: columns, query: query))
        }
        return tables
    }

    private mutating func block(_ select: PgQuery__SelectStmt, at around: Place) throws(SQLFault) -> SelectBlock {
        var items: [SelectItem] = []
        for node in nodes(select.target_list, select.n_target_list) where node.pointee.node_case == PG_QUERY__NODE__NODE_RES_TARGET {
            items.append(try item(node.pointee.res_target.pointee, at: around))
        }
        let place = items.first?.place ?? around
        guard !items.isEmpty else { throw SQLFault("SELECT without columns", at: place, why: "its rows would say nothing", hint: "name columns, or *") }
        if select.into_clause != nil {
            throw outOfPlace("SELECT INTO", at: place, why: "a job's outputs are declared", hint: "write CREATE MATERIALIZED VIEW ... AS SELECT ...")
        }
        if select.n_window_clause > 0 { throw notYet("a named window", at: place, hint: "write its clauses in OVER (...)") }
        if select.group_distinct != 0 { throw notYet("GROUP BY DISTINCT", at: place) }
        var from: [TableReference] = []
        for node in nodes(select.from_clause, select.n_from_clause) { from.append(try table(node, at: place)) }
        var distinct: SelectBlock.Distinct?
        let keys = nodes(select.distinct_clause, select.n_distinct_clause)
        if let first = keys.first {
            distinct = first.pointee.node_case == PG_QUERY__NODE__NODE__NOT_SET ? .rows : .on(try expressions(keys, at: place))
        }
        return SelectBlock(
            distinct: distinct, items: items, from: from, filter: try optional(select.where_clause, at: place),
            groups: try groups(nodes(select.group_clause, select.n_group_clause), at: place), having: try optional(select.having_clause, at: place),
            at: place)
    }

    private mutating func groups(_ nodes: [NodePointer], at place: Place) throws(SQLFault) -> [ExpressionSyntax] {
        for node in nodes where node.pointee.node_case == PG_QUERY__NODE__NODE_GROUPING_SET {
            let set = node.pointee.grouping_set.pointee
            let place = self.place(set.location, or: place)
            switch set.kind {
            case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP: throw notYet("ROLLUP", at: place, hint: "write one query for each grouping, with UNION ALL")
            case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE: throw notYet("CUBE", at: place, hint: "write one query for each grouping, with UNION ALL")
            case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY:
                throw notYet("GROUP BY ()", at: place, hint: "leave it out: aggregates without GROUP BY give one row")
            default: throw notYet("GROUPING SETS", at: place, hint: "write one query for each grouping, with UNION ALL")
            }
        }
        var keys: [ExpressionSyntax] = []
        for node in nodes {
            // `(a, b)` without ROW is two keys here, as the standard has it.
            if node.pointee.node_case == PG_QUERY__NODE__NODE_ROW_EXPR, node.pointee.row_expr.pointee.row_format == PG_QUERY__COERCION_FORM__COERCE_IMPLICIT_CAST {
                keys += try groups(SQLSyntax.nodes(node.pointee.row_expr.pointee.args, node.pointee.row_expr.pointee.n_args), at: place)
            } else {
                keys.append(try expression(node, at: place))
            }
        }
        return keys
    }

    private mutating func item(_ target: PgQuery__ResTarget, at around: Place) throws(SQLFault) -> SelectItem {
        let place = place(target.location, or: around)
        if let node = target.val, node.pointee.node_case == PG_QUERY__NODE__NODE_COLUMN_REF {
            let fields = nodes(node.pointee.column_ref.pointee.fields, node.pointee.column_ref.pointee.n_fields)
            if fields.last?.pointee.node_case == PG_QUERY__NODE__NODE_A_STAR {
                return SelectItem(.all(of: try names(Array(fields.dropLast()), at: place)), at: place)
            }
        }
        let alias = target.name.isPresent ? Identifier(String(cString: target.name), at: place) : nil
        return SelectItem(.expression(try expression(target.val, at: place), alias: alias), at: place)
    }

    mutating func order(_ nodes: [NodePointer], at around: Place) throws(SQLFault) -> [OrderItem] {
        var items: [OrderItem] = []
        for node in nodes where node.pointee.node_case == PG_QUERY__NODE__NODE_SORT_BY {
            let sort = node.pointee.sort_by.pointee
            let expression = try expression(sort.node, at: around)
            if sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING { throw notYet("ORDER BY ... USING", at: expression.place, hint: "write ASC or DESC") }
            let nullsFirst: Bool? =
                switch sort.sortby_nulls {
                case PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST: true
                case PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST: false
                default: nil
                }
            items.append(OrderItem(expression, isDescending: sort.sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC, nullsFirst: nullsFirst))
        }
        return items
    }

    private mutating func table(_ node: NodePointer, at around: Place) throws(SQLFault) -> TableReference {
        try nested(around) { reader throws(SQLFault) in try reader.tableLevel(node, at: around) }
    }

    private mutating func tableLevel(_ node: NodePointer, at around: Place) throws(SQLFault) -> TableReference {
        switch node.pointee.node_case {
        case PG_QUERY__NODE__NODE_RANGE_VAR:
            let name = try tableName(node.pointee.range_var)
            return TableReference(.table(name), alias: try alias(node.pointee.range_var.pointee.alias, at: name.place), at: name.place)
        case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
            let select = node.pointee.range_subselect.pointee
            if select.lateral != 0 { throw notYet("LATERAL", at: around, hint: "write it as a join") }
            let query = try query(selectStatement(select.subquery, at: around), at: around)
            return TableReference(.subquery(query), alias: try alias(select.alias, at: around), at: query.place)
        case PG_QUERY__NODE__NODE_RANGE_FUNCTION: return try tableFunction(node.pointee.range_function.pointee, at: around)
        case PG_QUERY__NODE__NODE_JOIN_EXPR: return try join(node.pointee.join_expr.pointee, at: around)
        case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
            throw notYet("TABLESAMPLE", at: place(node.pointee.range_table_sample.pointee.location, or: around), hint: "filter with WHERE")
        case PG_QUERY__NODE__NODE_RANGE_TABLE_FUNC: throw notYet("XMLTABLE", at: place(node.pointee.range_table_func.pointee.location, or: around))
        default: throw notYet("this in FROM", at: around)
        }
    }

    private mutating func tableFunction(_ function: PgQuery__RangeFunction, at around: Place) throws(SQLFault) -> TableReference {
        if function.lateral != 0 { throw notYet("LATERAL", at: around, hint: "write it as a join") }
        if function.ordinality != 0 { throw notYet("WITH ORDINALITY", at: around) }
        if function.is_rowsfrom != 0 { throw notYet("ROWS FROM", at: around) }
        if function.n_coldeflist > 0 { throw notYet("a list of columns with types behind a function", at: around) }
        // Each item is a list: the call, and its columns.
        guard let node = nodes(function.functions, function.n_functions).first?.listItems.first else { throw notYet("this in FROM", at: around) }
        guard node.pointee.node_case == PG_QUERY__NODE__NODE_FUNC_CALL else { throw notYet("an expression in FROM", at: around, hint: "write a query around it") }
        let call = try call(node.pointee.func_call.pointee, at: around)
        return TableReference(.function(call), alias: try alias(function.alias, at: call.name.place), at: call.name.place)
    }

    private mutating func join(_ join: PgQuery__JoinExpr, at around: Place) throws(SQLFault) -> TableReference {
        guard let leftNode = join.larg, let rightNode = join.rarg else { throw notYet("this join", at: around) }
        let (left, right) = (try table(leftNode, at: around), try table(rightNode, at: around))
        if join.join_using_alias != nil { throw notYet("an alias of USING", at: right.place) }
        let kind: JoinKind
        switch join.jointype {
        case PG_QUERY__JOIN_TYPE__JOIN_INNER: kind = .inner
        case PG_QUERY__JOIN_TYPE__JOIN_LEFT: kind = .left
        case PG_QUERY__JOIN_TYPE__JOIN_RIGHT: kind = .right
        case PG_QUERY__JOIN_TYPE__JOIN_FULL: kind = .full
        default: throw notYet("this join", at: right.place)
        }
        let condition: JoinCondition
        if join.is_natural != 0 {
            condition = .natural
        } else if join.n_using_clause > 0 {
            condition = .using(try names(nodes(join.using_clause, join.n_using_clause), at: right.place).map(\.text))
        } else {
            condition = try optional(join.quals, at: right.place).map { .on($0) } ?? .none
        }
        return TableReference(.join(kind, left, right, condition), alias: try alias(join.alias, at: left.place), at: left.place)
    }
}
