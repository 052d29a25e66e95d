export default function () {
  sessionStorage.removeItem("cnnviz-lecturer")
}
