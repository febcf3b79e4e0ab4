package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"path"
	"strconv"
)

// tourData is the tour's files, and their rows as a plain CSV reader sees
// them: what the answers are checked against.
type tourData struct {
	collections                         []byte
	airportsCSV, weatherCSV, flightsCSV []byte
	airports                            map[string]map[string]string // by code
	weather, flights                    []map[string]string
}

func (d *tourData) load() error {
	for name, to := range map[string]*[]byte{
		"collections.yaml": &d.collections, "airports.csv": &d.airportsCSV,
		"weather.csv": &d.weatherCSV, "flights.csv": &d.flightsCSV,
	} {
		data, err := quickstartData.ReadFile(path.Join("quickstart/data", name))
		if err != nil {
			return fmt.Errorf("read embedded %s: %w", name, err)
		}
		*to = data
	}
	list, err := csvRows(d.airportsCSV)
	if err != nil {
		return err
	}
	d.airports = map[string]map[string]string{}
	for _, row := range list {
		d.airports[row["iata"]] = row
	}
	if d.weather, err = csvRows(d.weatherCSV); err != nil {
		return err
	}
	d.flights, err = csvRows(d.flightsCSV)
	return err
}

func csvRows(data []byte) ([]map[string]string, error) {
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read embedded CSV: %w", err)
	}
	rows := make([]map[string]string, 0, len(records)-1)
	for _, rec := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = rec[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// lateFrom counts the flights from an airport that were later than minutes.
func (d *tourData) lateFrom(origin string, minutes int) (n int64) {
	for _, f := range d.flights {
		if late, err := strconv.Atoi(f["delay"]); err == nil && late > minutes && f["origin"] == origin {
			n++
		}
	}
	return n
}
