package store

import "context"

// column is what a column is on any engine.
type column struct {
	Type string // text, bigint, boolean or bytes
	Null bool
}

// schema returns the tables and their columns, without goose's, without views,
// and without the months of the audit log.
func (db *DB) schema(ctx context.Context) (map[string]map[string]column, error) {
	type found struct {
		table, name string
		column      column
	}
	all, err := list(ctx, db, func(s scanner) (f found, err error) {
		err = s.Scan(&f.table, &f.name, &f.column.Type, &f.column.Null)
		return f, err
	}, "Columns")
	if err != nil {
		return nil, err
	}
	tables := make(map[string]map[string]column)
	for _, f := range all {
		if tables[f.table] == nil {
			tables[f.table] = make(map[string]column)
		}
		tables[f.table][f.name] = f.column
	}
	return tables, nil
}
