package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"

	"github.com/trinedb/trine/lakehouse"
)

// updates joins the updates of a commit to what the lake is asked for.
type updates struct {
	ask  *lakehouse.EngineCommit
	main *int64 // the snapshot that is to be the current one
}

// wayOut says of updates that Trine does not take what to do instead.
var wayOut = map[string]string{
	table.UpdateUpgradeFormatVersion: "the format version is the collection's option lake_format: change it by trine apply",
	table.UpdateAddSchema:            "fields are the collection's: change them by trine apply (PUT /v1/tenants/{tenant}/collections/{collection})",
	table.UpdateSetCurrentSchema:     "fields are the collection's: change them by trine apply (PUT /v1/tenants/{tenant}/collections/{collection})",
	table.UpdateRemoveSchemas:        "fields are the collection's: change them by trine apply (PUT /v1/tenants/{tenant}/collections/{collection})",
	table.UpdateAddSpec:              "partitions are the collection's: change them by trine apply",
	table.UpdateSetDefaultSpec:       "partitions are the collection's: change them by trine apply",
	table.UpdateRemoveSpec:           "partitions are the collection's: change them by trine apply",
	table.UpdateAddSortOrder:         "the sort order is the collection's: change it by trine apply",
	table.UpdateSetDefaultSortOrder:  "the sort order is the collection's: change it by trine apply",
	table.UpdateSetLocation:          "where a table lies is Trine's to say",
	table.UpdateRemoveSnapshots:      "snapshots are expired by trine lake expire, and by themselves",

	table.UpdateSetStatistics:             "statistics files are not kept",
	table.UpdateRemoveStatistics:          "statistics files are not kept",
	table.UpdateSetPartitionStatistics:    "statistics files are not kept",
	table.UpdateRemovePartitionStatistics: "statistics files are not kept",
	table.UpdateAddEncryptionKey:          "tables are not encrypted",
	table.UpdateRemoveEncryptionKey:       "tables are not encrypted",
}

// take reads one update.
func (u *updates) take(raw json.RawMessage) error {
	var head struct {
		Action string `json:"action"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return err
	}
	switch head.Action {
	case "":
		return errors.New("no action")
	case table.UpdateAssignUUID:
		return u.assignUUID(raw)
	case table.UpdateSetProperties, table.UpdateRemoveProperties:
		return u.properties(raw)
	case table.UpdateAddSnapshot:
		return u.snapshot(raw)
	case table.UpdateSetSnapshotRef:
		return u.setRef(raw)
	case table.UpdateRemoveSnapshotRef:
		return u.removeRef(raw)
	}
	if why, ok := wayOut[head.Action]; ok {
		return notTaken("update " + head.Action + " is not taken: " + why)
	}
	return fmt.Errorf("unknown action %s", quote(head.Action))
}

// notTaken refuses what Trine does not do for engines.
func notTaken(message string) error {
	return failure(http.StatusBadRequest, "UnsupportedOperationException", message)
}

// assignUUID is fine if the table has that one.
func (u *updates) assignUUID(raw json.RawMessage) error {
	var requirement map[string]any
	if err := json.Unmarshal(raw, &requirement); err != nil {
		return err
	}
	text, err := json.Marshal([]any{map[string]any{"type": "assert-table-uuid", "uuid": requirement["uuid"]}})
	if err != nil {
		return err
	}
	var same table.Requirements
	if err := json.Unmarshal(text, &same); err != nil {
		return err
	}
	u.ask.Require = append(u.ask.Require, same...)
	return nil
}

func (u *updates) properties(raw json.RawMessage) error {
	// Older clients say updated and removed.
	var body struct {
		Updates  map[string]string `json:"updates"`
		Updated  map[string]string `json:"updated"`
		Removals []string          `json:"removals"`
		Removed  []string          `json:"removed"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return err
	}
	if u.ask.Set == nil {
		u.ask.Set = iceberg.Properties{}
	}
	for _, all := range []map[string]string{body.Updates, body.Updated} {
		for name, value := range all {
			u.ask.Set[name] = value
		}
	}
	for _, name := range append(body.Removals, body.Removed...) {
		delete(u.ask.Set, name)
		u.ask.Unset = append(u.ask.Unset, name)
	}
	return nil
}

func (u *updates) snapshot(raw json.RawMessage) error {
	var body struct {
		Snapshot *table.Snapshot `json:"snapshot"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return err
	}
	switch {
	case body.Snapshot == nil:
		return errors.New("add-snapshot without a snapshot")
	case u.ask.Snapshot != nil:
		return notTaken("two snapshots in one commit: commit them one by one")
	}
	u.ask.Snapshot = body.Snapshot
	return nil
}

func (u *updates) setRef(raw json.RawMessage) error {
	var body struct {
		Name string `json:"ref-name"`
	}
	var ref table.SnapshotRef
	if err := errors.Join(json.Unmarshal(raw, &body), json.Unmarshal(raw, &ref)); err != nil {
		return err
	}
	switch {
	case body.Name == table.MainBranch && ref.SnapshotRefType == table.BranchRef:
		u.main = &ref.SnapshotID
	case ref.SnapshotRefType == table.TagRef:
		u.tag(body.Name, &ref)
	default:
		return notTaken("branch " + quote(body.Name) + ": a table has one branch, main; tags can be set")
	}
	return nil
}

func (u *updates) removeRef(raw json.RawMessage) error {
	var body struct {
		Name string `json:"ref-name"`
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return err
	}
	if body.Name == table.MainBranch {
		return notTaken("branch main cannot be removed")
	}
	u.tag(body.Name, nil)
	return nil
}

func (u *updates) tag(name string, ref *table.SnapshotRef) {
	if u.ask.Tags == nil {
		u.ask.Tags = map[string]*table.SnapshotRef{}
	}
	u.ask.Tags[name] = ref
}

// finish refuses what does not fit together.
func (u *updates) finish() error {
	switch added := u.ask.Snapshot; {
	case added == nil && u.main != nil:
		return notTaken("main cannot be set to an older snapshot: the rows are what the log says; " +
			"read the older snapshot as of its id or a tag, and write what is to change through Trine's own API")
	case added != nil && u.main == nil:
		return notTaken("a snapshot that is not to be the current one (write-audit-publish) is not taken")
	case added != nil && *u.main != added.SnapshotID:
		return badRequest("main is set to another snapshot than the one added")
	}
	return nil
}
