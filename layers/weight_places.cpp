#include "layers/weight_places.hpp"

namespace ptrain {

void Places::add(Place place) {
  const auto [it, is_new] = places_.emplace(place.name, place);
  REQUIRE_THAT(is_new, place.name, " twice in a model file");
  if (place.bytes > 0) open_[place.offset] = &it->second;
}

Places::Place& Places::find(const std::string& name) {
  const auto it = places_.find(name);
  REQUIRE_THAT(it != places_.end(), "no room was reserved for ", name);
  return it->second;
}

void Places::write(hdf5::Descriptor& file, Place& place, const void* data, uint64_t bytes) {
  REQUIRE_THAT(bytes <= place.bytes - place.done, place.name, ": more than the ", place.bytes, " bytes reserved");
  hdf5::write_at(file, place.offset + place.done, data, bytes);
  place.done += bytes;
  if (place.done == place.bytes) open_.erase(place.offset);
}

}  // namespace ptrain
