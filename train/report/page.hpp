// defines: Page, what the sections of a report are written from and to; Pictures
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "train/report/run.hpp"

namespace ptrain::report {

// Pictures are JPEG or PNG files in memory. Without the images of the data set there are none, and `missing` says why.
struct AugmentedRow {
  std::string file, of_class;
  std::vector<std::vector<uint8_t>> jpegs;  // the film as the net sees it, then draws of the augmentation
};
struct Mistake {
  std::string file, part, patient, label, decided;
  double probability = 0;  // of the class that was decided for
  std::vector<uint8_t> film, overlay;
};
struct Pictures {
  std::vector<AugmentedRow> augmented;
  std::string augmentation;  // its name: "strong"
  std::vector<Mistake> mistakes;
  std::string missing;
};

// A table that lies beside a figure, as RUN/figures/NAME.csv, and inside the page, where it can be saved.
struct FigureTable {
  std::string name, csv;
};

class Page {
 public:
  Page(const Run& run, const Pictures& pictures) : run(run), pictures(pictures) {}

  // <figure> with a drawing (HTML), a caption (HTML) and its numbers.
  std::string figure(const std::string& name, const std::string& drawing, const std::string& caption, const std::string& csv);
  const std::vector<FigureTable>& tables() const { return tables_; }

  const Run& run;
  const Pictures& pictures;

 private:
  std::vector<FigureTable> tables_;
};

// "" when there is nothing to say, not even that something is absent.
struct Section {
  const char* id;
  const char* title;
  std::string (*write)(Page&);
};

std::string summary_section(Page&);
std::string data_section(Page&);
std::string samples_section(Page&);
std::string training_section(Page&);
std::string comparison_section(Page&);
std::string curves_section(Page&);
std::string decisions_section(Page&);
std::string calibration_section(Page&);
std::string mistakes_section(Page&);
std::string ledger_section(Page&);
std::string record_section(Page&);
std::string limits_section(Page&);

const std::vector<Section>& sections();
extern const char* const kStyle;  // CSS

std::string absent(const std::string& why);    // a quiet paragraph
std::string warning(const std::string& html);  // a loud one
std::string no_test(const Run& run);           // why the report has no result on a test part, as a sentence

// The whole document.
std::string render(Page& page);
// RUN/report.html and RUN/figures/*.csv, each written as a whole or not at all.
void write_report(const Run& run, const Pictures& pictures);

}  // namespace ptrain::report
