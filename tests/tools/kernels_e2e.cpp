// `ptrain kernels` as a student runs it: every step of every ladder, the figures that docs/classroom quotes, and last steps that are the
// kernels in production.
#include <algorithm>

#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

const std::map<std::string, std::vector<std::string>> kLadders{
    {"depthwise", {"1 pixels", "2 channels", "3 vectors", "4 registers", "5 production"}},
    {"norm", {"1 channel a thread", "2 channel a block", "3 tiles", "4 production"}},
    {"cross_entropy", {"1 row a thread", "2 row a block", "3 online", "4 production"}},
    {"augment", {"1 chained", "2 fused", "3 production"}}};
const char* const kNumbers[] = {"outputs",
                                "launches",
                                "threads",
                                "registers",
                                "shared_bytes",
                                "barriers",
                                "accesses",
                                "sectors_per_access",
                                "sector_efficiency",
                                "active_lanes",
                                "wavefronts_per_least",
                                "bytes_per_output",
                                "least_bytes_per_output",
                                "arithmetic_per_output",
                                "accesses_per_thread",
                                "times_the_least"};

// The steps of one ladder, or of all of them with "", by their names.
std::map<std::string, nlohmann::json> steps_of(const std::string& ladder) {
  const Finished f = ladder.empty() ? run_ptrain({"kernels", "--json"}) : run_ptrain({"kernels", ladder, "--json"});
  INFO(f.err);
  REQUIRE(f.code == 0);
  std::map<std::string, nlohmann::json> steps;
  for (const nlohmann::json& s : nlohmann::json::parse(f.out)) CHECK(steps.emplace(s.at("name"), s).second);
  return steps;
}

// The cells of "| a | b |", without blanks around them.
std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> found;
  for (size_t from = 1, to = 0; (to = line.find('|', from)) != std::string::npos; from = to + 1) {
    std::string cell = line.substr(from, to - from);
    cell.erase(0, cell.find_first_not_of(' '));
    found.push_back(cell.erase(cell.find_last_not_of(' ') + 1));
  }
  return found;
}

}  // namespace

TEST_CASE("ptrain kernels shows every step of every ladder") {
  const Finished table = run_ptrain({"kernels"});
  INFO(table.err);
  REQUIRE(table.code == 0);
  const std::map<std::string, nlohmann::json> all = steps_of("");
  size_t count = 0;
  for (const auto& [ladder, names] : kLadders) {
    const std::map<std::string, nlohmann::json> alone = steps_of(ladder);
    CHECK(alone.size() == names.size());
    for (const std::string& name : names) {
      const std::string step = ladder + " " + name;
      INFO(step);
      ++count;
      CHECK(table.out.find(step) != std::string::npos);
      REQUIRE(alone.contains(step));
      CHECK(alone.at(step) == all.at(step));
      const nlohmann::json& s = alone.at(step);
      for (const char* key : {"changes", "kernel", "shape"}) CHECK(!s.at(key).get<std::string>().empty());
      for (const char* key : kNumbers) CHECK_MESSAGE(std::isfinite(s.at(key).get<double>()), key);
      for (const char* card : {"t4", "a100", "rtx4090", "h100", "b200", "rtx5090"}) {
        const double share = s.at("occupancy").at(card);
        CHECK((share > 0 && share <= 1));
        const std::string bound = s.at("bound").at(card);
        CHECK((bound == "arithmetic" || bound == "memory" || bound == "cache" || bound == "latency"));
      }
    }
  }
  CHECK(all.size() == count);
}

TEST_CASE("ptrain kernels refuses a ladder that there is not") {
  const Finished f = run_ptrain({"kernels", "conv"});
  CHECK(f.code == 2);
  CHECK(f.out.empty());
  CHECK(f.err.find("no ladder is called conv: known are depthwise, norm, cross_entropy, augment") != std::string::npos);
}

TEST_CASE("the tables of docs/classroom are what ptrain kernels shows") {
  const std::map<std::string, std::string> columns{{"launches", "launches"},
                                                   {"accesses", "accesses"},
                                                   {"sectors", "sectors_per_access"},
                                                   {"wanted", "sector_efficiency"},
                                                   {"lanes", "active_lanes"},
                                                   {"bytes", "bytes_per_output"},
                                                   {"least bytes", "least_bytes_per_output"},
                                                   {"times the least", "times_the_least"},
                                                   {"barriers", "barriers"}};
  const std::map<std::string, nlohmann::json> all = steps_of("");
  for (const auto& [ladder, names] : kLadders) {
    std::istringstream page(read_file(source_dir() / "docs/classroom" / (ladder + ".md")));
    std::vector<std::string> head;
    size_t rows = 0;
    for (std::string line; std::getline(page, line);) {
      if (!line.starts_with("| ")) continue;
      const std::vector<std::string> row = cells(line);
      if (head.empty()) {
        head = row;
        continue;
      }
      const nlohmann::json& step = all.at(ladder + " " + row.at(0));
      ++rows;
      for (size_t i = 1; i < row.size(); ++i) {
        if (!columns.contains(head.at(i))) continue;
        std::string said = row[i];
        said.erase(std::remove(said.begin(), said.end(), ','), said.end());
        const double scale = said.ends_with('%') ? 100 : 1, figure = step.at(columns.at(head[i])).get<double>() * scale;
        const double half = said.find('.') == std::string::npos ? 0.5 : 0.05;  // of the last digit
        CHECK_MESSAGE(close(std::stod(said), figure, half + 1e-9, 0), ladder, " ", row[0], ": ", head[i], " is ", figure,
                      ", the page says ", said);
      }
    }
    CHECK(rows == names.size());
  }
}

// kernels/cuda/budget.tsv has the largest instance of a kernel, of all types; kernels/cuda/memory.tsv has larger shapes.
TEST_CASE("the last step of a ladder is the kernel in production") {
  const std::map<std::string, std::string> operations{{"depthwise", "depthwise_forward"},
                                                      {"norm", "norm_train_forward"},
                                                      {"cross_entropy", "softmax_cross_entropy_forward"},
                                                      {"augment", "augment"}};
  const std::vector<Row> budget = read_tsv(source_dir() / "kernels/cuda/budget.tsv"),
                         memory = read_tsv(source_dir() / "kernels/cuda/memory.tsv");
  const std::map<std::string, nlohmann::json> all = steps_of("");
  for (const auto& [ladder, names] : kLadders) {
    INFO(ladder);
    const nlohmann::json& s = all.at(ladder + " " + names.back());
    const std::string kernel = s.at("kernel").get<std::string>().substr(0, s.at("kernel").get<std::string>().find('<'));
    const auto b =
        std::find_if(budget.begin(), budget.end(), [&](const Row& r) { return r.at("kernel") == kernel && r.at("arch") == "80"; });
    REQUIRE(b != budget.end());
    CHECK(s.at("threads") == std::stoi(b->at("threads")));
    CHECK(s.at("registers") <= std::stoi(b->at("registers")));
    const auto m = std::find_if(memory.begin(), memory.end(),
                                [&](const Row& r) { return r.at("operation") == operations.at(ladder) && r.at("type") == "float32"; });
    REQUIRE(m != memory.end());
    CHECK(s.at("sector_efficiency").get<double>() == doctest::Approx(std::stod(m->at("efficiency"))).epsilon(0.1));
    CHECK(s.at("wavefronts_per_least") <= std::stod(m->at("most_wavefronts")));
  }
}
