"""The report: one HTML file with verdict, figures and every transcript, for a browser offline."""
