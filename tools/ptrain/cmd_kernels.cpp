// ptrain kernels: the ladders, step by step: what each kernel's memory accesses cost, counted while it runs in the emulator.
#include <dlfcn.h>

#include <iostream>

#include "tools/ptrain/commands.hpp"

#include <nlohmann/json.hpp>

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

struct KernelsOptions {
  std::string name;
  bool json = false;
};

// What a multiprocessor holds at a time, from NVIDIA's table of compute capabilities (CUDA C++ Programming Guide), and what the whole card
// does in a second at its boost clock, from NVIDIA's data sheets: operations in float32, bytes of memory, and bytes of the first cache
// (64 of a multiprocessor in a clock before compute capability 8.0, 128 since).
struct Card {
  const char* name;
  int threads, blocks;
  int64_t registers, shared, shared_of_block;  // shared_of_block: taken by the system for each block
  double tera_operations, memory_gigabytes, cache_gigabytes;
};
constexpr Card kCards[] = {
    {"t4", 1024, 16, 65536, 65536, 0, 8.1, 320, 40 * 64 * 1.59},
    {"a100", 2048, 32, 65536, 167936, 1024, 19.5, 2039, 108 * 128 * 1.41},
    {"rtx4090", 1536, 24, 65536, 102400, 1024, 82.6, 1008, 128 * 128 * 2.52},
    {"h100", 2048, 32, 65536, 233472, 1024, 66.9, 3350, 132 * 128 * 1.98},
    {"b200", 2048, 32, 65536, 233472, 1024, 75, 8000, 148 * 128 * 1.97},
    {"rtx5090", 1536, 24, 65536, 102400, 1024, 104.8, 1792, 170 * 128 * 2.41},
};
constexpr double kLongWait = 64;  // accesses of a thread, one after the other

// What a step would wait for longest on a card: its arithmetic, the bytes that memory must move, or those that go through the first cache.
// Where a thread goes to memory many times in turn a layer gives too few threads to keep the card busy: then it is the latency of memory.
const char* bound(const Card& card, const Json& s) {
  if (double(s["accesses_per_thread"]) > kLongWait) return "latency";
  const double arithmetic = double(s["arithmetic_per_output"]) / (card.tera_operations * 1e12),
               memory = double(s["least_bytes_per_output"]) / (card.memory_gigabytes * 1e9),
               cache = double(s["bytes_per_output"]) / (card.cache_gigabytes * 1e9);
  return arithmetic > memory && arithmetic > cache ? "arithmetic" : cache > memory ? "cache" : "memory";
}

// Resident threads of the most that the card could hold. Registers are given to warps in pieces of 256.
double occupancy(const Card& card, int64_t threads, int64_t registers, int64_t shared) {
  const int64_t warps = (threads + 31) / 32, of_warp = (registers * 32 + 255) / 256 * 256,
                of_block = (shared + card.shared_of_block + 127) / 128 * 128;
  int64_t blocks = std::min<int64_t>(card.blocks, card.threads / (warps * 32));
  blocks = std::min(blocks, card.registers / (of_warp * warps));
  if (of_block > 0) blocks = std::min(blocks, card.shared / of_block);
  return double(blocks * warps * 32) / card.threads;
}

using LadderReport = const char* (*)(const char*);

LadderReport open_ladders() {
  const std::filesystem::path library = std::filesystem::canonical("/proc/self/exe").parent_path() / "libptrain_ladder_sim.so";
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) fail(ErrorKind::failed, "opening the ladders: ", dlerror(), "\n  tools/build release builds them beside ptrain");
  void* symbol = dlsym(handle, "ptrain_ladder_report");
  if (!symbol) fail(ErrorKind::failed, "opening the ladders: ", library.string(), " is of another version");
  return reinterpret_cast<LadderReport>(symbol);
}

void run(const KernelsOptions& o) {
  const std::string said = open_ladders()(o.name.c_str());
  if (said.starts_with("error: ")) fail(ErrorKind::failed, "running the ladders: ", said.substr(7));
  Json steps = Json::parse(said);
  if (steps.empty()) fail(ErrorKind::usage, "no ladder is called ", o.name, ": known are depthwise, norm, cross_entropy, augment");
  for (Json& s : steps) {
    Json share;
    for (const Card& card : kCards) share[card.name] = occupancy(card, s["threads"], s["registers"], s["shared_bytes"]);
    s["occupancy"] = share;
    Json bounds;
    for (const Card& card : kCards) bounds[card.name] = bound(card, s);
    s["bound"] = bounds;
    s["times_the_least"] = double(s["bytes_per_output"]) / double(s["least_bytes_per_output"]);
  }
  if (o.json) {
    std::cout << steps.dump(2) << "\n";
    return;
  }
  std::string ladder;
  for (const Json& s : steps) {
    const std::string name = s["name"];
    if (const std::string first = name.substr(0, name.find(' ')); first != ladder) {
      ladder = first;
      fmt::print("\n{}: {}\n{:<30} {:>8} {:>8} {:>6} {:>7} {:>7} {:>8} {:>7} {:>5} {:>5} {:>6}\n", ladder, s["shape"].get<std::string>(),
                 "step", "sectors", "wanted", "lanes", "banks", "bytes", "least", "times", "regs", "shared", "bars");
    }
    fmt::print("{:<30} {:>8.2f} {:>7.1f}% {:>6.1f} {:>7.2f} {:>7.1f} {:>8.1f} {:>7.2f} {:>5} {:>6} {:>5}\n", name,
               s["sectors_per_access"].get<double>(), 100 * s["sector_efficiency"].get<double>(), s["active_lanes"].get<double>(),
               s["wavefronts_per_least"].get<double>(), s["bytes_per_output"].get<double>(), s["least_bytes_per_output"].get<double>(),
               s["times_the_least"].get<double>(), s["registers"].get<int>(), s["shared_bytes"].get<int>(), s["barriers"].get<int>());
    fmt::print("    {}\n    occupancy", s["changes"].get<std::string>());
    for (const auto& [card, share] : s["occupancy"].items()) fmt::print("  {} {:.0f}%", card, 100 * share.get<double>());
    fmt::print("\n    bound by  ");
    for (const auto& [card, what] : s["bound"].items()) fmt::print("  {} {}", card, what.get<std::string>());
    fmt::print("\n");
  }
  fmt::print(
      "\nsectors: of 32 bytes, per access of a warp; wanted: of these bytes; lanes: that take part in an access; banks: wavefronts of "
      "shared memory, of the least\n"
      "possible (0: none used); bytes: of the sectors, per output; least: each sector once a launch; times: bytes/least; bars: barriers, "
      "of all blocks.\n"
      "bound by: what a card would wait for longest, by its data sheet: arithmetic; memory (least); cache (bytes); or latency, where a "
      "thread goes to memory\n"
      "more than {:.0f} times in turn. Counted in the emulator. No time was measured: that takes a GPU.\n",
      kLongWait);
}

}  // namespace

std::unique_ptr<Command> kernels_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "kernels", "run the ladders of docs/classroom in the emulator and count their memory accesses",
                                "  ptrain kernels\n"
                                "  ptrain kernels depthwise\n"
                                "  ptrain kernels norm --json");
  const auto o = std::make_shared<KernelsOptions>();
  command->app().add_option("NAME", o->name, "depthwise, norm, cross_entropy, augment (all unless given)");
  command->flag("--json", o->json, "write JSON to stdout");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
